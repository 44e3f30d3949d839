import type { Feeds, Session } from '../runtime/types.ts';
import { prepared } from './latency.ts';
import { median } from './statistics.ts';

export interface WarmupLimits {
  /** How many inferences the two medians that are compared are taken over. */
  readonly window: number;
  /** How far the medians may lie apart, relative to the earlier one. */
  readonly tolerance: number;
  readonly maxCount: number;
  readonly maxTimeMs: number;
}

export interface Warmup {
  readonly count: number;
  readonly ms: number;
  /** Whether it settled before a limit was reached. */
  readonly stable: boolean;
}

export const WARMUP_LIMITS: WarmupLimits = {
  window: 5,
  tolerance: 0.05,
  maxCount: 200,
  maxTimeMs: 3000,
};

/**
 * Makes inferences until the median of the last ones is that of the ones before (caches filled,
 * clock raised), or until a limit is reached. At least one is made.
 */
export async function warmUp(
  session: Session,
  feeds: Feeds,
  limits: WarmupLimits = WARMUP_LIMITS,
): Promise<Warmup> {
  const run = prepared(session, feeds);
  const latencies: number[] = [];
  const start = performance.now();
  let elapsed = 0;
  let stable = false;
  do {
    const before = performance.now();
    // oxlint-disable-next-line no-await-in-loop -- one inference after the other is the point
    await run();
    const after = performance.now();
    latencies.push(after - before);
    elapsed = after - start;
    stable = isStable(latencies, limits);
  } while (!stable && latencies.length < limits.maxCount && elapsed < limits.maxTimeMs);
  return { count: latencies.length, ms: elapsed, stable };
}

/** Whether the last `window` values have the median of the `window` before them. */
export function isStable(
  latencies: readonly number[],
  { window, tolerance }: Pick<WarmupLimits, 'window' | 'tolerance'>,
): boolean {
  if (latencies.length < 2 * window) return false;
  const earlier = median(latencies.slice(-2 * window, -window));
  const later = median(latencies.slice(-window));
  return Math.abs(later - earlier) <= tolerance * earlier;
}
