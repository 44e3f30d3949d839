export interface BackoffLimits {
  readonly minMs: number;
  readonly maxMs: number;
}

/** 2^30 ms is twelve days: beyond, the doubling only loses precision. */
const MAX_DOUBLINGS = 30;

/**
 * Milliseconds to wait before attempt number `attempt` (0: the first after a good connection).
 * Doubles up to the maximum; the upper half of each wait is random, so that a fleet that lost its
 * broker does not come back in one moment, while none comes back at once. `random` is in [0, 1).
 */
export function backoffMs(
  attempt: number,
  { minMs, maxMs }: BackoffLimits,
  random: number,
): number {
  const doubled = minMs * 2 ** Math.min(attempt, MAX_DOUBLINGS);
  const wait = Math.min(maxMs, doubled);
  return Math.round(wait / 2 + (wait / 2) * random);
}
