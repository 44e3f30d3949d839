import { Histogram, type HistogramState } from './histogram.ts';
import { addChannels, channelLayout, extremesOf } from './scan.ts';

/** What has to be collected for an observer; less is faster. */
export interface ObserverNeeds {
  /** Bins for percentile, entropy and mse. */
  readonly histogram: boolean;
  /** Mean per channel, for bias correction. */
  readonly channels: boolean;
  /** Channels lie on the last axis (TFLite); on axis 1 of more than two unless told. */
  readonly channelsLast?: boolean;
}

/** Weight of a new sample in the moving average once many were seen (as onnxruntime and torch). */
export const AVERAGING_CONSTANT = 0.01;

/** What one sample's values came to, per channel: all finite. */
export interface ChannelSummary {
  readonly min: ArrayLike<number>;
  readonly max: ArrayLike<number>;
  readonly mean: ArrayLike<number>;
  /** How many values there are in all channels together. */
  readonly count: number;
  /** All values or an even choice of them, for a histogram. */
  readonly values?: Float32Array | null | undefined;
}

/** Everything collected about one tensor, as plain values. */
export interface AccumulatorState {
  /** Element type of the tensor. */
  readonly dtype: string;
  /** Shape of the first sample. */
  readonly shape: readonly number[];
  readonly samples: number;
  /** Finite values; the fields below describe these. */
  readonly count: number;
  /** NaN and infinite values. */
  readonly nonFinite: number;
  /** Infinite (min above max) when no value was finite. */
  readonly min: number;
  readonly max: number;
  /** Averages of the extremes of the single samples. */
  readonly averageMin: number;
  readonly averageMax: number;
  /** Samples that had finite values, which the averages are over. */
  readonly averaged: number;
  /** Of all values or of an even choice of them. */
  readonly histogram: HistogramState | null;
  /** Sums per channel, and how many values each sum has. */
  readonly channelSums: Float64Array | null;
  readonly channelCount: number;
}

type Numbers = Float32Array | Float64Array;

/** Collects what observers need about one tensor, one sample after the other, in one pass. */
export class TensorAccumulator {
  readonly #needs: ObserverNeeds;
  readonly #dtype: string;
  readonly #histogram = new Histogram();
  #shape: readonly number[] | null = null;
  #samples = 0;
  #count = 0;
  #nonFinite = 0;
  #min = Infinity;
  #max = -Infinity;
  #averageMin = 0;
  #averageMax = 0;
  #averaged = 0;
  #channelSums: Float64Array | null = null;
  #channelCount = 0;

  constructor(needs: ObserverNeeds, dtype = 'float32') {
    this.#needs = needs;
    this.#dtype = dtype;
  }

  /** Looks at the tensor's value for one sample. An empty tensor counts as a sample only. */
  add(values: Numbers, shape: readonly number[]): void {
    const first = this.#samples === 0;
    this.#shape ??= shape;
    this.#samples += 1;
    const { min, max, count, nonFinite } = extremesOf(values);
    this.#nonFinite += nonFinite;
    if (this.#needs.channels) this.#addChannels(values, shape, first, nonFinite > 0);
    if (count === 0) return;
    this.#count += count;
    this.#see(min, max);
    if (!this.#needs.histogram) return;
    const finite = nonFinite === 0 ? values : values.filter((value) => Number.isFinite(value));
    this.#histogram.add(finite, min, max);
  }

  /**
   * The same from a summary, whose sums are as exact as the means. A histogram then counts the values
   * that are given; its bins cover the true extremes.
   */
  addSummary({ min, max, mean, count, values }: ChannelSummary, shape: readonly number[]): void {
    if (this.#needs.histogram && !values) throw new Error('a histogram needs values');
    const first = this.#samples === 0;
    this.#shape ??= shape;
    this.#samples += 1;
    if (this.#needs.channels) {
      this.#addMeans(mean, mean.length === 0 ? 0 : count / mean.length, first);
    }
    if (count === 0) return;
    this.#count += count;
    const [least, most] = [smallest(min), largest(max)];
    this.#see(least, most);
    if (this.#needs.histogram && values) this.#histogram.add(values, least, most);
  }

  /** What was collected so far. */
  state(): AccumulatorState {
    return {
      dtype: this.#dtype,
      shape: this.#shape ?? [],
      samples: this.#samples,
      count: this.#count,
      nonFinite: this.#nonFinite,
      min: this.#min,
      max: this.#max,
      averageMin: this.#averageMin,
      averageMax: this.#averageMax,
      averaged: this.#averaged,
      histogram: this.#needs.histogram ? this.#histogram.state() : null,
      channelSums: this.#channelSums,
      channelCount: this.#channelCount,
    };
  }

  #see(min: number, max: number): void {
    this.#min = Math.min(this.#min, min);
    this.#max = Math.max(this.#max, max);
    this.#average(min, max);
  }

  /**
   * A plain mean over the first 100 samples, exponential with AVERAGING_CONSTANT from then on.
   * Starting exponential at once would leave the first sample with nearly all the weight.
   */
  #average(min: number, max: number): void {
    this.#averaged += 1;
    const weight = Math.max(1 / this.#averaged, AVERAGING_CONSTANT);
    this.#averageMin += (min - this.#averageMin) * weight;
    this.#averageMax += (max - this.#averageMax) * weight;
  }

  /** Channels of a tensor whose channel count changes between samples have no meaning: dropped. */
  #addChannels(values: Numbers, shape: readonly number[], first: boolean, finiteOnly: boolean) {
    const layout = channelLayout(shape, this.#needs.channelsLast);
    if (layout === null) return;
    const sums = this.#sumsFor(layout.channels, first);
    if (sums === null) return;
    addChannels(values, layout, sums, finiteOnly);
    this.#channelCount += values.length / layout.channels;
  }

  #addMeans(means: ArrayLike<number>, each: number, first: boolean): void {
    const sums = this.#sumsFor(means.length, first);
    if (sums === null) return;
    for (let i = 0; i < sums.length; i += 1) sums[i] = (sums[i] ?? 0) + (means[i] ?? 0) * each;
    this.#channelCount += each;
  }

  #sumsFor(channels: number, first: boolean): Float64Array | null {
    if (first && channels > 0) this.#channelSums = new Float64Array(channels);
    if (this.#channelSums?.length !== channels) this.#channelSums = null;
    return this.#channelSums;
  }
}

function smallest(values: ArrayLike<number>): number {
  let least = Infinity;
  for (let i = 0; i < values.length; i += 1) least = Math.min(least, values[i] ?? Infinity);
  return least;
}

function largest(values: ArrayLike<number>): number {
  let most = -Infinity;
  for (let i = 0; i < values.length; i += 1) most = Math.max(most, values[i] ?? -Infinity);
  return most;
}
