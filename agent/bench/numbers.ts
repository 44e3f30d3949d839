import { float16ToNumber } from '../model/small-floats.ts';
import type { Feeds, Tensor } from '../runtime/types.ts';

/** The values of a tensor as numbers (int64 rounded to float64); undefined for text. */
export function toNumbers({ dtype, data }: Tensor): ArrayLike<number> | undefined {
  if (dtype === 'float16' && data instanceof Uint16Array) {
    return Float64Array.from(data, float16ToNumber);
  }
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    return Float64Array.from(data, Number);
  }
  return isText(data) ? undefined : data;
}

function isText(data: Tensor['data']): data is readonly string[] {
  return !ArrayBuffer.isView(data);
}

/**
 * How many values of an output are those of the first sample. A picture fills every row of a fixed
 * batch, and rounding may put any of the equal rows on top.
 */
export function firstSample(
  { shape: [rows = 1] }: Tensor,
  values: ArrayLike<number>,
  feeds: Feeds,
): number {
  const isBatch =
    rows > 1 &&
    values.length > rows &&
    Object.values(feeds).some(({ shape }) => shape.length > 1 && shape[0] === rows);
  return isBatch ? values.length / rows : values.length;
}

/**
 * Index, from `start`, of the largest of `count` values that lie `stride` apart: the first of equals,
 * and a NaN before any number, as numpy's argmax does.
 */
export function argMax(
  values: ArrayLike<number>,
  start = 0,
  count = values.length,
  stride = 1,
): number {
  let best = 0;
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < count; i++) {
    const value = values[start + i * stride] ?? Number.NaN;
    if (Number.isNaN(value)) return i;
    if (value > largest) {
      largest = value;
      best = i;
    }
  }
  return best;
}
