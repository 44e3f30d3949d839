/**
 * What time it is, for a board that may have none: most have no battery-backed clock, and start at 1970
 * or at the image's build date until the network has told them.
 */
export interface ClockReading {
  /** The machine's clock, milliseconds since 1970. */
  readonly systemMs: number;
  /** Whether that clock has been set by the network since boot. */
  readonly synchronised: boolean;
  /** Latest time at which the clock was known to be right, kept on disk. */
  readonly persistedMs: number;
  /** When the newest verified timestamp was signed. */
  readonly signedMs: number;
}

/**
 * The time to judge metadata and documents by. Once synchronised, the clock's. Before that, the latest
 * of everything known: the true time is not earlier than a verified signature, so a clock at 1970 does
 * not make expired metadata good again (freeze attack). A clock that runs ahead refuses more than it
 * should until it is synchronised, never less.
 */
export function judgedNow({ systemMs, synchronised, persistedMs, signedMs }: ClockReading): number {
  return synchronised ? systemMs : Math.max(systemMs, persistedMs, signedMs);
}

/** What to keep on disk: a clock that nobody vouches for must not move it. */
export function timeToPersist({
  systemMs,
  synchronised,
  persistedMs,
  signedMs,
}: ClockReading): number {
  return Math.max(persistedMs, signedMs, synchronised ? systemMs : 0);
}
