import type { FleetMessage } from '../roster/read.ts';
import type { Arrival } from '../roster/roster.ts';

/** A device says every minute that it is there. */
const FRESH_MS = 300_000;
/** So many clocks are enough to know the time by. */
const MAX_CLOCKS = 200;

interface Clock {
  /** What it showed, less what the steady clock here showed. */
  readonly offsetMs: number;
  readonly heardMs: number;
}

/**
 * The time by the clocks of the fleet: a second opinion for what must not be done only because the clock
 * of this machine was set wrong. Half of the devices would have to be as wrong.
 */
export class FleetTime {
  readonly #clocks = new Map<string, Clock>();
  readonly #steady: () => number;

  /** `steady`: a clock that nobody sets, the one of the arrivals. */
  constructor(steady: () => number = () => performance.now()) {
    this.#steady = steady;
  }

  /** Takes the time that a device has told just now; what the broker has kept tells none. */
  hear({ kind, deviceId, value }: FleetMessage, { readMs }: Pick<Arrival, 'readMs'>): void {
    if (kind !== 'status' || readMs !== undefined) return;
    const saidMs = Date.parse(value?.ts ?? '');
    if (Number.isNaN(saidMs)) return;
    const heardMs = this.#steady();
    // Again at the end: the oldest comes first.
    this.#clocks.delete(deviceId);
    this.#clocks.set(deviceId, { offsetMs: saidMs - heardMs, heardMs });
    const [oldest] = this.#clocks.keys();
    if (this.#clocks.size > MAX_CLOCKS && oldest !== undefined) this.#clocks.delete(oldest);
  }

  /** Milliseconds since 1970 by the median of the clocks heard of late, the earlier of two; or null. */
  now(): number | null {
    const steadyMs = this.#steady();
    const offsets = [...this.#clocks.values()]
      .filter(({ heardMs }) => steadyMs - heardMs < FRESH_MS)
      .map(({ offsetMs }) => offsetMs)
      .toSorted((a, b) => a - b);
    const median = offsets[Math.floor((offsets.length - 1) / 2)];
    return median === undefined ? null : median + steadyMs;
  }
}
