import { channelAxis } from '../../model/onnx/reduce.ts';

/** The extremes of the finite values of a tensor. */
export interface Extremes {
  readonly min: number;
  readonly max: number;
  /** How many values are finite. */
  readonly count: number;
  /** How many are NaN or infinite. */
  readonly nonFinite: number;
}

type Numbers = Float32Array | Float64Array;

/**
 * One pass over the values; NaN and infinities are counted and otherwise ignored. `min` and `max`
 * are infinite when no value is finite.
 */
export function extremesOf(values: Numbers): Extremes {
  let min = Infinity;
  let max = -Infinity;
  // x - x is 0 for every finite x and NaN for everything else: one addition instead of a branch.
  let odd = 0;
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] ?? 0;
    odd += value - value;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  if (odd === 0) return { min, max, count: values.length, nonFinite: 0 };
  return finiteExtremes(values);
}

function finiteExtremes(values: Numbers): Extremes {
  let [min, max, count] = [Infinity, -Infinity, 0];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    min = Math.min(min, value);
    max = Math.max(max, value);
    count += 1;
  }
  return { min, max, count, nonFinite: values.length - count };
}

/**
 * Adds up the values of every channel: axis 1 where the rank is above 2, else the last axis. `sums`
 * has one element per channel.
 */
export function addChannels(
  values: Numbers,
  layout: ChannelLayout,
  sums: Float64Array,
  finiteOnly: boolean,
): void {
  const { channels, inner } = layout;
  for (let i = 0, channel = 0; i < values.length; i += inner) {
    let sum = 0;
    for (let k = i; k < i + inner; k += 1) {
      const value = values[k] ?? 0;
      if (!finiteOnly || Number.isFinite(value)) sum += value;
    }
    sums[channel] = (sums[channel] ?? 0) + sum;
    channel = channel + 1 === channels ? 0 : channel + 1;
  }
}

export interface ChannelLayout {
  readonly channels: number;
  /** How many neighbours in memory belong to the same channel. */
  readonly inner: number;
}

/** Null where there is no channel axis. @param last whether channels lie on the last axis of any tensor */
export function channelLayout(shape: readonly number[], last = false): ChannelLayout | null {
  const axis = last ? shape.length - 1 : channelAxis(shape.length);
  const channels = shape[axis];
  if (channels === undefined || channels === 0) return null;
  return { channels, inner: shape.slice(axis + 1).reduce((product, dim) => product * dim, 1) };
}
