/** After so many entries of an outage the pause between them doubles. */
const ENTRIES_PER_STEP = 48;

/**
 * When to keep a sample while nobody can be told: often at first, and more seldom the longer it
 * lasts, so that an outage of any length leaves a bounded number of messages. With 5 minutes: a day
 * leaves 132 entries, a month about 360.
 */
export class Thinning {
  readonly #everyMs: number;
  #kept = 0;
  #lastMs: number | null = null;

  /** `everyMs` 0: nothing is kept. */
  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  /** Whether a sample at this time is kept; then it counts. */
  take(monoMs: number): boolean {
    if (this.#everyMs === 0) return false;
    const pauseMs = this.#everyMs * 2 ** Math.floor(this.#kept / ENTRIES_PER_STEP);
    if (this.#lastMs !== null && monoMs - this.#lastMs < pauseMs) return false;
    this.#kept += 1;
    this.#lastMs = monoMs;
    return true;
  }

  /** The outage is over. */
  reset(): void {
    this.#kept = 0;
    this.#lastMs = null;
  }
}
