import { setTimeout as sleep } from 'node:timers/promises';
import type { PhaseFindings, PhaseInput } from '../phase-work.ts';
import { isOpen } from '../window.ts';
import { refuseExpired } from './accept.ts';
import type { Conditions, WorkContext } from './context.ts';

/** Above this a device that is told nothing else does not start heavy work. */
const MAX_CELSIUS = 80;
/** What a board does to itself when its power supply is too weak: not the moment to switch models. */
const POWER_REASONS: readonly string[] = ['under-voltage'];

/**
 * Waits until the device may be disturbed: not before a time, within the maintenance window, nobody
 * holding the lock, neither hot nor short of power, and then for the jitter. Computed anew after every
 * restart; a timer of a former run is not trusted.
 */
export async function wait(input: PhaseInput, context: WorkContext): Promise<PhaseFindings> {
  const { document, signal } = input;
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- asks again after a while
    await refuseExpired(document.expires, context);
    // oxlint-disable-next-line no-await-in-loop -- see above
    const why = await reasonToWait(input, context);
    if (why === null) break;
    // oxlint-disable-next-line no-await-in-loop -- see above
    await pause(context.pollMs, signal);
  }
  const jitterMs = (document.jitterSeconds ?? 0) * 1000 * Math.random();
  await pause(jitterMs, signal);
  return {};
}

/** Why not now; null to go on. */
async function reasonToWait(
  { document }: PhaseInput,
  context: WorkContext,
): Promise<string | null> {
  const nowMs = await context.nowMs();
  const { notBefore, window } = document;
  if (notBefore !== undefined && Date.parse(notBefore) > nowMs) return `not before ${notBefore}`;
  if (window !== undefined && !isOpen(window, nowMs)) return 'outside its maintenance window';
  const { jobType } = document;
  const policy = jobType === 'deploy' || jobType === 'fit' ? document.policy : undefined;
  return reasonNotNow(await context.conditions(), policy?.maxCelsius);
}

/** Why the device is not to be disturbed now; null when it may be. */
export function reasonNotNow(
  { celsius, throttled, lockedBy }: Conditions,
  limit = MAX_CELSIUS,
): string | null {
  if (lockedBy !== null) return `locked by ${lockedBy}`;
  if (celsius !== null && celsius > limit) return `${celsius} °C, above ${limit}`;
  const power = throttled.find((reason) => POWER_REASONS.includes(reason));
  return power === undefined ? null : power;
}

/** Waits, or throws the signal's reason. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
  signal.throwIfAborted();
}
