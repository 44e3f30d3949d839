import type { AccumulatorState } from './accumulator.ts';

/** The occupied bins of a histogram with their edges, clipped to the values really seen. */
export interface Bins {
  readonly low: Float64Array;
  readonly high: Float64Array;
  readonly count: Float64Array;
  readonly total: number;
  readonly min: number;
  readonly max: number;
}

/** Null when there is no histogram. */
export function occupiedBins(state: AccumulatorState): Bins | null {
  const { histogram, min, max } = state;
  if (histogram === null) return null;
  const { exponent, first, counts } = histogram;
  const width = 2 ** exponent;
  const used = Array.from(counts.keys()).filter((bin) => (counts[bin] ?? 0) > 0);
  const count = Float64Array.from(used, (bin) => counts[bin] ?? 0);
  return {
    low: Float64Array.from(used, (bin) => Math.max(min, (first + bin) * width)),
    high: Float64Array.from(used, (bin) => Math.min(max, (first + bin + 1) * width)),
    count,
    total: count.reduce((sum, one) => sum + one, 0),
    min,
    max,
  };
}

/** A range of values, both ends included. */
export interface Range {
  readonly min: number;
  readonly max: number;
}
