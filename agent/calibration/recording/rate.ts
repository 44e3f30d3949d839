const SECOND_MS = 1000;

/** So many a second on average, and up to a second's worth at once (a token bucket). */
export class RateLimit {
  readonly #perSecond: number;
  readonly #most: number;
  #tokens: number;
  #lastMs: number | null = null;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#most = Math.max(1, perSecond);
    this.#tokens = this.#most;
  }

  /** Takes one and returns 0, or returns how many milliseconds to wait for the next. */
  take(nowMs: number): number {
    const passedMs = this.#lastMs === null ? 0 : Math.max(0, nowMs - this.#lastMs);
    this.#lastMs = nowMs;
    this.#tokens = Math.min(this.#most, this.#tokens + (passedMs * this.#perSecond) / SECOND_MS);
    if (this.#tokens < 1) return Math.ceil(((1 - this.#tokens) * SECOND_MS) / this.#perSecond);
    this.#tokens -= 1;
    return 0;
  }
}
