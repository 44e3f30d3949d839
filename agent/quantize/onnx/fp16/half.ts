import type { TensorProto } from '../../../model/onnx/generated/messages.ts';
import { DataType, makeTensor, tensorData } from '../../../model/onnx/tensor.ts';

/** Float32 weights as float16 (IEEE 754 binary16, round to nearest, ties to even). */

export interface HalfTensor {
  readonly tensor: TensorProto;
  /** Finite values beyond 65504, kept as that. */
  readonly above: number;
  /** Values other than zero below 2^-24, kept as that. */
  readonly below: number;
}

// Bit patterns of float32.
const INFINITY = 0x7f800000;
const LARGEST_HALF = 0x477fe000;
const SMALLEST_NORMAL_HALF = 0x38800000;
const SMALLEST_HALF = 0x33800000;

/** The float16 bit pattern nearest to a float32 bit pattern; what is out of range is clamped. */
export function halfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const size = bits & 0x7fffffff;
  if (size > INFINITY) return sign | 0x7e00;
  if (size === INFINITY) return sign | 0x7c00;
  if (size > LARGEST_HALF) return sign | 0x7bff;
  if (size >= SMALLEST_NORMAL_HALF) return sign | rounded(size - 0x38000000, 13);
  if (size >= SMALLEST_HALF) {
    const fraction = (size & 0x7fffff) | 0x800000;
    return sign | rounded(fraction, 126 - (size >>> 23));
  }
  return size === 0 ? sign : sign | 1;
}

/** Drops the lowest bits, to the nearest, ties to even. */
function rounded(value: number, bits: number): number {
  const kept = value >>> bits;
  const dropped = value & ((1 << bits) - 1);
  const half = 1 << (bits - 1);
  return dropped > half || (dropped === half && kept % 2 === 1) ? kept + 1 : kept;
}

/** The tensor under another name, its float32 values as float16. */
export function halfTensor(tensor: TensorProto, name: string): HalfTensor {
  const data = tensorData(tensor);
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  const halves = new Uint16Array(bits.length);
  let above = 0;
  let below = 0;
  for (let index = 0; index < bits.length; index++) {
    const value = bits[index] ?? 0;
    const size = value & 0x7fffffff;
    if (size > LARGEST_HALF && size < INFINITY) above++;
    else if (size > 0 && size < SMALLEST_HALF) below++;
    halves[index] = halfBits(value);
  }
  return { tensor: makeTensor(name, DataType.FLOAT16, tensor.dims, halves), above, below };
}
