import type { Tensor } from '../runtime/types.ts';

/** The values of a tensor as numbers (int64 rounded to float64); undefined for text. */
export function toNumbers({ dtype, data }: Tensor): ArrayLike<number> | undefined {
  if (dtype === 'float16' && data instanceof Uint16Array) {
    return Float64Array.from(data, (bits) => fromHalf(bits));
  }
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    return Float64Array.from(data, Number);
  }
  return isText(data) ? undefined : data;
}

function isText(data: Tensor['data']): data is readonly string[] {
  return !ArrayBuffer.isView(data);
}

/** IEEE 754 binary16: sign, 5 bits of exponent, 10 of fraction. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
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
