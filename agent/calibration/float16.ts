import { float16ToNumber } from '../model/small-floats.ts';

/** IEEE 754 binary16 as raw bits in a Uint16Array, because Node 20 has no Float16Array. */

const SUBNORMAL_STEP = 2 ** -24;
const LARGEST = 65504;

let decoded: Float32Array | undefined;

/** All 65536 values, filled on first use: decoding is then one lookup per element. */
function table(): Float32Array {
  if (decoded !== undefined) return decoded;
  const values = new Float32Array(65536);
  for (let bits = 0; bits < values.length; bits += 1) values[bits] = float16ToNumber(bits);
  decoded = values;
  return values;
}

/** float16 bits to float32 values, exact. */
export function decodeHalf(bits: Uint16Array): Float32Array {
  const values = table();
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i += 1) out[i] = values[bits[i] ?? 0] ?? 0;
  return out;
}

/** Numbers to float16 bits, rounded to nearest even; beyond the largest value becomes infinity. */
export function encodeHalf(values: ArrayLike<number>): Uint16Array {
  const out = new Uint16Array(values.length);
  for (let i = 0; i < out.length; i += 1) out[i] = encodeOne(values[i] ?? 0);
  return out;
}

function encodeOne(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  // Halfway between the largest value and the next power of two already rounds up to infinity.
  if (size >= LARGEST + 16) return sign | 0x7c00;
  const exponent = Math.max(-14, Math.floor(Math.log2(size === 0 ? 1 : size)));
  const steps = roundHalfEven(size / 2 ** (Math.min(exponent, 15) - 10));
  // Steps of 2^(exponent-10): a carry out of the fraction moves into the exponent by itself.
  return size < 2 ** -14
    ? sign | roundHalfEven(size / SUBNORMAL_STEP)
    : sign | (((Math.min(exponent, 15) + 14) << 10) + steps);
}

function roundHalfEven(value: number): number {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}
