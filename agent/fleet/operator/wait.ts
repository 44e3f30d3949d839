import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import { deferred } from '../../util/deferred.ts';
import type { Arrival, OperatorChannel } from './channel.ts';

/** What a message holds, or null where it holds something else (or nothing: a cleared topic). */
export function readPayload<T>(schema: z.ZodType<T>, { payload }: Arrival): T | null {
  if (payload.length === 0) return null;
  try {
    const parsed = schema.safeParse(JSON.parse(new TextDecoder('utf-8').decode(payload)));
    return parsed.success ? parsed.data : null;
  } catch {
    // Not JSON: whatever it is, it is not ours.
    return null;
  }
}

export interface WaitOptions<T> {
  readonly filters: readonly string[];
  /** The awaited value, or undefined to wait on. */
  readonly pick: (arrival: Arrival) => T | undefined;
  /** Done once the subscription stands, so that no answer is missed. */
  readonly send?: () => Promise<void>;
  /** Without it, for ever. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The first value that `pick` finds, or null when the time is over. Throws what sending throws, the
 * reason of the signal, and OperatorError (LOST) when the connection ends.
 */
export async function waitFor<T>(
  channel: OperatorChannel,
  { filters, pick, send, timeoutMs, signal }: WaitOptions<T>,
): Promise<T | null> {
  signal?.throwIfAborted();
  const gate = deferred<T | null>();
  const stop = await channel.listen(filters, (arrival) => {
    const found = pick(arrival);
    if (found !== undefined) gate.resolve(found);
  });
  const timer =
    timeoutMs === undefined ? undefined : setTimeout(() => gate.resolve(null), timeoutMs);
  const onAbort = () => gate.reject(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    await send?.();
    return await Promise.race([gate.promise, channel.lost]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    stop();
  }
}

/** How long after the last retained message the broker is thought to have no more. */
const QUIET_MS = 400;
const QUIET_STEP_MS = 50;

/**
 * Everything retained that matches: until nothing has come for a while. Cleared topics are left out.
 * Good for a device or the rollouts; a whole fleet is read by its roster.
 */
export async function readRetained(
  channel: OperatorChannel,
  filters: readonly string[],
  { quietMs = QUIET_MS, signal }: { readonly quietMs?: number; readonly signal?: AbortSignal } = {},
): Promise<readonly Arrival[]> {
  const found = new Map<string, Arrival>();
  let lastMs = performance.now();
  const stop = await channel.listen(filters, (arrival) => {
    lastMs = performance.now();
    if (arrival.payload.length === 0) found.delete(arrival.topic);
    else if (arrival.retain || found.has(arrival.topic)) found.set(arrival.topic, arrival);
  });
  lastMs = performance.now();
  try {
    while (performance.now() - lastMs < quietMs) {
      // oxlint-disable-next-line no-await-in-loop -- until it is quiet
      await Promise.race([
        sleep(QUIET_STEP_MS, undefined, signal === undefined ? {} : { signal }),
        channel.lost,
      ]);
    }
    return [...found.values()];
  } finally {
    stop();
  }
}
