import { setTimeout as sleep } from 'node:timers/promises';
import type { Feeds, Session } from '../runtime/types.ts';

export interface RoundLimits {
  readonly minCount: number;
  readonly minTimeMs: number;
  /** Ends the round even below `minCount`; one inference is always made. */
  readonly maxTimeMs: number;
}

export interface Round {
  /** One entry per inference, in order. */
  readonly latenciesMs: Float64Array;
  /** Time spent in our own loop, over all inferences. */
  readonly ownMs: number;
}

/**
 * How long a runtime's idle threads may burn CPU after a run: onnxruntime's spin for about 45 ms.
 * Switching that off (`force_spinning_stop`) makes small models on two threads up to 50 % slower, so a
 * round waits instead, for the sake of whatever is measured next.
 */
export const SPIN_DOWN_MS = 60;

/** Makes one inference as often as the limits ask and times each; then lets idle threads settle. */
export async function measureRound(
  session: Session,
  feeds: Feeds,
  limits: RoundLimits,
): Promise<Round> {
  const run = prepared(session, feeds);
  const round = await timed(run, limits);
  await sleep(SPIN_DOWN_MS);
  return round;
}

/** Of models that take microseconds, more say nothing new. */
const MOST_TIMED = 50_000;

async function timed(run: () => Promise<unknown>, limits: RoundLimits): Promise<Round> {
  const { minCount, minTimeMs, maxTimeMs } = limits;
  const latencies: number[] = [];
  let inferenceMs = 0;
  const start = performance.now();
  let elapsed = 0;
  do {
    const before = performance.now();
    // oxlint-disable-next-line no-await-in-loop -- one inference after the other is the point
    await run();
    const after = performance.now();
    latencies.push(after - before);
    inferenceMs += after - before;
    elapsed = after - start;
    if (latencies.length >= MOST_TIMED) break;
  } while (elapsed < maxTimeMs && (latencies.length < minCount || elapsed < minTimeMs));
  const ownMs = performance.now() - start - inferenceMs;
  return { latenciesMs: Float64Array.from(latencies), ownMs };
}

/** A function that makes one inference on these feeds, converted once where the runtime can. */
export function prepared(session: Session, feeds: Feeds): () => Promise<unknown> {
  return session.prepare?.(feeds) ?? (() => session.run(feeds));
}
