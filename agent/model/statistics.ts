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
  /**
   * Mean per channel (in ONNX axis 1 where rank > 2; else, and in TFLite, the last axis), when it was
   * asked for.
   */
  readonly channelMean?: Float64Array;
}

export interface Statistics {
  /** How many samples were looked at. */
  readonly samples: number;
  readonly observer: ObserverName;
  /** By tensor name; only tensors that took a value (a branch never taken has none). */
  readonly tensors: ReadonlyMap<string, TensorStatistics>;
  /** By `layerKey`; only layers that were asked for, as far as the limits of memory and time go. */
  readonly layers?: ReadonlyMap<string, LayerMoments>;
}

/** A layer whose weights are constant, and how its weights meet its input. */
export interface LayerInput {
  /** What `Statistics.layers` knows it by: see `layerKey`. */
  readonly key: string;
  /** The tensor that meets the weights. */
  readonly tensor: string;
  /** Weights that one output channel has: input channels of its group times the taps of the kernel. */
  readonly size: number;
  /** Input channels fall into this many groups; 1 but for grouped convolutions. */
  readonly groups: number;
  /** The window that a convolution slides over the input; rows along the last axis without it. */
  readonly window?: LayerWindow;
}

export interface LayerWindow {
  /** One value per spatial axis each; `pads` are those at the start. */
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly number[];
  readonly padsAtEnd: readonly number[];
  /** Pads as for SAME_UPPER or SAME_LOWER instead: they follow from the size of the input. */
  readonly same?: 'upper' | 'lower';
  /** As TFLite has it: channels are the last axis, and weights lie tap by tap, channels inside. */
  readonly channelsLast?: boolean;
}

/**
 * First and second moments of what meets the weights of one output channel: the rows of im2col. Past
 * a size that costs too much, only weights of the same block know of one another.
 */
export interface LayerMoments {
  readonly groups: number;
  readonly size: number;
  /** Weights per block; the last block of a group may be shorter. */
  readonly block: number;
  /** Rows that were looked at. */
  readonly count: number;
  /** E[x], group by group. */
  readonly mean: Float64Array;
  /** E[(x - mean)(x - mean)^T], row-major: group by group, block by block. */
  readonly covariance: Float32Array;
}

/** The name of a layer in `Statistics.layers`. */
export function layerKey(input: string, weight: string): string {
  return JSON.stringify([input, weight]);
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
