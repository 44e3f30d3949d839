import type { LatencyMs } from '../contracts/bench.ts';

/**
 * Percentile of ascending values, `fraction` in 0..1: linear between the two nearest ranks, where
 * rank = fraction * (count - 1). This is definition 7 of Hyndman and Fan, numpy's default.
 */
export function percentile(ascending: ArrayLike<number>, fraction: number): number {
  const rank = fraction * (ascending.length - 1);
  const below = ascending[Math.floor(rank)] ?? Number.NaN;
  const above = ascending[Math.ceil(rank)] ?? Number.NaN;
  return below + (above - below) * (rank - Math.floor(rank));
}

/** The middle value, in any order; NaN when there is none. */
export function median(values: Iterable<number>): number {
  return percentile(Float64Array.from(values).toSorted(), 0.5);
}

/** The figures of the report from single latencies in milliseconds, of which there is at least one. */
export function summarize(latenciesMs: Iterable<number>): LatencyMs {
  const ascending = Float64Array.from(latenciesMs).toSorted();
  const sum = ascending.reduce((total, value) => total + value, 0);
  return {
    p50: percentile(ascending, 0.5),
    p90: percentile(ascending, 0.9),
    p99: percentile(ascending, 0.99),
    mean: sum / ascending.length,
    min: ascending[0] ?? Number.NaN,
    count: ascending.length,
  };
}

/** Inferences per second of one caller that asks again as soon as it has its answer. */
export function throughputPerSecond(latency: Pick<LatencyMs, 'mean'>): number {
  return 1000 / latency.mean;
}
