import type { SchemeObserver } from '../contracts/scheme.ts';

/**
 * What calibration learned about the tensors of a model: calibration writes it, quantize reads it,
 * neither imports the other.
 */

/** One tensor's values over all calibration samples. */
export interface TensorStatistics {
  /** Element type as onnxruntime names it: `float32`, `int64`, ... */
  readonly dtype: string;
  /** Shape seen with the first sample. */
  readonly shape: readonly number[];
  /** The range an observer settled on (not widened to include zero). */
  readonly min: number;
  readonly max: number;
  /** The extremes really seen. */
  readonly seenMin: number;
  readonly seenMax: number;
  /** Mean per channel (axis 1 where rank > 2, else the last axis), when it was asked for. */
  readonly channelMean?: Float64Array;
}

export interface Statistics {
  /** How many samples were looked at. */
  readonly samples: number;
  readonly observer: ObserverName;
  /** By tensor name; only tensors that took a value (a branch never taken has none). */
  readonly tensors: ReadonlyMap<string, TensorStatistics>;
}

/** How a range is chosen from what was seen. */
export type ObserverName = SchemeObserver;

/** One tensor's values per channel, over some samples. */
export interface ChannelRanges {
  readonly min: Float64Array;
  readonly max: Float64Array;
  /** Mean square distance from the channel's mean. */
  readonly variance: Float64Array;
}
