import { pause } from './http.ts';

/** Idle time saves up at most this much, so that a pause is not followed by a burst. */
const BURST_MS = 1000;

/** Token bucket: bytes that may pass per second. Without a rate everything passes at once. */
export class RateLimit {
  readonly #bytesPerMs: number;
  #freeAtMs = performance.now();

  constructor(bytesPerSecond: number | undefined) {
    this.#bytesPerMs = (bytesPerSecond ?? Number.POSITIVE_INFINITY) / 1000;
  }

  /** Resolves when the bytes just taken are paid for. */
  async spend(bytes: number, signal: AbortSignal): Promise<void> {
    if (this.#bytesPerMs === Number.POSITIVE_INFINITY) return;
    const now = performance.now();
    this.#freeAtMs = Math.max(this.#freeAtMs, now - BURST_MS) + bytes / this.#bytesPerMs;
    const waitMs = this.#freeAtMs - now;
    if (waitMs > 0) await pause(waitMs, signal);
  }
}
