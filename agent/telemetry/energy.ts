import type { PowerReading } from '../hardware/power-sources.ts';

export interface PowerState {
  readonly watts: number | null;
  /** Since the first reading. */
  readonly joules: number | null;
}

/** What lies further apart than this is not added up: the machine may have slept. */
const MAX_GAP_MS = 5 * 60_000;

/**
 * Power and energy from a meter of either kind: readings of power are added up (their mean over the
 * time between two), readings of energy are divided by the time.
 */
export class EnergyCounter {
  #last: PowerReading | null = null;
  #joules = 0;

  add(reading: PowerReading | null): PowerState {
    if (reading === null) return { watts: null, joules: null };
    const last = this.#last;
    this.#last = reading;
    const gapMs = last === null ? 0 : reading.atMs - last.atMs;
    if ('millijoules' in reading) {
      if (last === null || !('millijoules' in last)) {
        return { watts: null, joules: reading.millijoules / 1000 };
      }
      const watts = gapMs > 0 ? (reading.millijoules - last.millijoules) / gapMs : null;
      return { watts, joules: reading.millijoules / 1000 };
    }
    if (last !== null && 'milliwatts' in last && gapMs <= MAX_GAP_MS) {
      this.#joules += (((last.milliwatts + reading.milliwatts) / 2) * gapMs) / 1e6;
    }
    return { watts: reading.milliwatts / 1000, joules: this.#joules };
  }
}
