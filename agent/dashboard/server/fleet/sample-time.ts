/** When the values of a message were measured, whatever the clock of the device says. */
export interface Timed {
  readonly deviceId: string;
  readonly ts: number;
  readonly mono: number | null;
  readonly bootId: string | null;
  /** Sent again after an outage: it may be old. */
  readonly isReplay: boolean;
}

interface Anchor {
  readonly bootId: string | null;
  readonly mono: number;
  readonly arrivalMs: number;
}

/** Clocks of devices and server may differ by so much, and messages may take as long. */
const TOLERANCE_MS = 120_000;
const MAX_REPLAY_MS = 7 * 86_400_000;

/**
 * Dates messages. A device's clock is believed when it agrees with the server's; otherwise the time of
 * arrival counts, and `mono` puts messages of one boot in order that arrive in another.
 */
export class SampleTimes {
  readonly #anchors = new Map<string, Anchor>();

  dateOf({ deviceId, ts, mono, bootId, isReplay }: Timed, arrivalMs: number): number {
    const age = arrivalMs - ts;
    const oldest = isReplay ? MAX_REPLAY_MS : TOLERANCE_MS;
    const anchor = this.#anchors.get(deviceId);
    const isNewest = anchor === undefined || anchor.bootId !== bootId || anchor.mono <= (mono ?? 0);
    if (mono !== null && isNewest) this.#anchors.set(deviceId, { bootId, mono, arrivalMs });
    if (age >= -TOLERANCE_MS && age <= oldest) return Math.min(ts, arrivalMs);
    if (mono === null || isNewest) return arrivalMs;
    return Math.max(anchor.arrivalMs - (anchor.mono - mono), arrivalMs - MAX_REPLAY_MS);
  }

  forget(deviceId: string): void {
    this.#anchors.delete(deviceId);
  }
}
