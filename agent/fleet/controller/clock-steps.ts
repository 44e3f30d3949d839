import type { Case } from './case.ts';

/** Less is how clocks are kept right, and how long a busy process looks away. */
const STEP_MS = 60_000;

/** Tells when the machine's clock was set, by a clock that nobody sets. */
export class ClockSteps {
  readonly #now: () => number;
  readonly #steady: () => number;
  #offsetMs: number;

  constructor(now: () => number, steady: () => number = () => performance.now()) {
    this.#now = now;
    this.#steady = steady;
    this.#offsetMs = now() - steady();
  }

  /** By how much it was set since this was asked last; 0 for less than a minute. */
  take(): number {
    const offsetMs = this.#now() - this.#steady();
    const stepMs = offsetMs - this.#offsetMs;
    this.#offsetMs = offsetMs;
    return Math.abs(stepMs) < STEP_MS ? 0 : stepMs;
  }
}

/**
 * Moves what is waited for along with the clock: a job has its time however the clock is set, and a
 * wave its soak. What devices were told stays: they go by their own clocks.
 */
export function moveDeadlines(one: Case, byMs: number): void {
  for (const execution of one.executions.values()) {
    const { back } = execution;
    const isOpen = execution.state === 'open' || back?.state === 'open';
    if (!isOpen) continue;
    one.executions.set(execution.deviceId, {
      ...execution,
      deadlineMs: moved(execution.deadlineMs, byMs),
      back: back === null ? null : { ...back, deadlineMs: moved(back.deadlineMs, byMs) },
    });
    one.heard.add(execution.deviceId);
  }
  const { record } = one.state;
  const waves = record.waves.map((wave) =>
    wave.state === 'soaking' && wave.soakUntil !== null
      ? { ...wave, soakUntil: new Date(Date.parse(wave.soakUntil) + byMs).toISOString() }
      : wave,
  );
  one.state = { ...one.state, record: { ...record, waves } };
}

function moved(atMs: number | null, byMs: number): number | null {
  return atMs === null ? null : atMs + byMs;
}
