import { setTimeout as sleep } from 'node:timers/promises';
import { OFF } from '../config/schedules.ts';
import { messageOf } from '../util/errors.ts';

export interface Scheduled {
  readonly name: string;
  /** A valid cron line, or `off`. */
  readonly cron: string;
  /** Each run waits a random time up to so long. */
  readonly jitterMs?: number;
  /** What it throws goes to the log; the next run comes all the same. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

export interface ScheduleOptions {
  readonly warn: (fields: object, message: string) => void;
  /** How often is looked whether the clock was set. */
  readonly lookMs?: number;
}

/** A run that is later than this was missed: the clock was set, or the machine slept. */
const MAX_LATE_MS = 60_000;
const LOOK_MS = 60_000;

/**
 * Runs things by cron lines until the returned function is called, each alone with itself. node-cron
 * reads the lines and tells the next time; the waiting is done here, because boards without a clock of
 * their own start in the past: after a jump of a year node-cron would walk through every time that it
 * has missed, and after one back it would wait until the old time comes again.
 */
export async function startSchedules(
  entries: readonly Scheduled[],
  options: ScheduleOptions,
): Promise<() => Promise<void>> {
  const used = entries.filter(({ cron }) => cron !== OFF);
  if (used.length === 0) return async () => undefined;
  const { createTask } = await import('node-cron');
  const stopping = new AbortController();
  const { signal } = stopping;
  const running = used.map((entry) => {
    const task = createTask(entry.cron, () => undefined);
    return loop(entry, () => task.getNextRuns(1)[0]?.getTime() ?? Infinity, signal, options);
  });
  return async () => {
    stopping.abort(new Error('the agent stops'));
    await Promise.all(running);
  };
}

async function loop(
  entry: Scheduled,
  next: () => number,
  signal: AbortSignal,
  { warn, lookMs = LOOK_MS }: ScheduleOptions,
): Promise<void> {
  let dueMs = next();
  while (!signal.aborted) {
    const waitMs = Math.min(lookMs, Math.max(0, dueMs - Date.now()));
    // oxlint-disable-next-line no-await-in-loop -- one time after the other
    await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    const lateMs = Date.now() - dueMs;
    if (lateMs >= 0 && lateMs <= MAX_LATE_MS) {
      // oxlint-disable-next-line no-await-in-loop -- it must not run beside itself
      await runOnce(entry, signal, warn);
    }
    // Also when it is not due yet: the clock may have been set back.
    dueMs = next();
  }
}

async function runOnce(
  { name, jitterMs = 0, run }: Scheduled,
  signal: AbortSignal,
  warn: ScheduleOptions['warn'],
): Promise<void> {
  try {
    if (jitterMs > 0) await sleep(jitterMs * Math.random(), undefined, { signal });
    await run(signal);
  } catch (error) {
    if (!signal.aborted) warn({ schedule: name, why: messageOf(error) }, 'a scheduled run failed');
  }
}
