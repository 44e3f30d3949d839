import { float16ToNumber } from '../model/small-floats.ts';
import type { Tensor } from '../runtime/types.ts';

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
