import type { Tensor, TensorData, TensorType } from '../../runtime/types.ts';
import { decodeHalf, encodeHalf } from '../float16.ts';
import { SampleError } from './error.ts';

const FLOATS: ReadonlySet<TensorType> = new Set(['float16', 'float32', 'float64']);
/** Float values for inputs of these types stay float: the runtime knows the input's scale. */
const QUANTIZED: ReadonlySet<TensorType> = new Set(['int8', 'uint8', 'int16', 'uint16']);

const RANGES: Readonly<Partial<Record<TensorType, readonly [bigint, bigint]>>> = {
  int8: [-128n, 127n],
  uint8: [0n, 255n],
  int16: [-32768n, 32767n],
  uint16: [0n, 65535n],
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
  bool: [0n, 1n],
};

/**
 * The same values as the element type that the model's input wants. Integers become floats, floats
 * change width, integers change width when every value fits; nothing is ever cut off. Floats for an
 * input of 8 or 16 bit integers stay float32. Throws SampleError with `title` in front.
 */
export function convertTensor(tensor: Tensor, dtype: TensorType, title: string): Tensor {
  if (tensor.dtype === dtype) return tensor;
  const refuse = (why: string) =>
    new SampleError('dtype', `${title}: holds ${tensor.dtype}, the input takes ${dtype}${why}`);
  if (tensor.dtype === 'string' || dtype === 'string') throw refuse('');
  if (FLOATS.has(dtype)) {
    return { dtype, shape: tensor.shape, data: toFloats(tensor, dtype) };
  }
  if (FLOATS.has(tensor.dtype)) {
    if (!QUANTIZED.has(dtype)) throw refuse('');
    return convertTensor(tensor, 'float32', title);
  }
  const values = integersOf(tensor.data);
  const range = RANGES[dtype];
  const outside = range && values.find((value) => value < range[0] || value > range[1]);
  if (outside !== undefined) throw refuse(`, and ${outside} does not fit`);
  return { dtype, shape: tensor.shape, data: integersAs(values, dtype) };
}

function toFloats(tensor: Tensor, dtype: TensorType): TensorData {
  const values = numbersOf(tensor);
  if (dtype === 'float16') return encodeHalf(values);
  if (dtype === 'float64') return Float64Array.from(values);
  return values instanceof Float32Array ? values : Float32Array.from(values);
}

/** Every element as a JavaScript number; float16 bits are decoded. */
function numbersOf(tensor: Tensor): Float32Array | ArrayLike<number> {
  const { data } = tensor;
  if (tensor.dtype === 'float16' && data instanceof Uint16Array) return decodeHalf(data);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    return Float64Array.from(data, Number);
  }
  return isNumbers(data) ? data : [];
}

type NumberArray = Exclude<TensorData, readonly string[] | BigInt64Array | BigUint64Array>;

function isNumbers(data: TensorData): data is NumberArray {
  return ArrayBuffer.isView(data) && !(data instanceof BigInt64Array);
}

function integersOf(data: TensorData): bigint[] {
  return Array.from<number | bigint | string, bigint>(data, (value) => BigInt(value));
}

type Integers = (values: readonly bigint[]) => TensorData;

const INTEGERS: Readonly<Partial<Record<TensorType, Integers>>> = {
  int64: (values) => BigInt64Array.from(values),
  uint64: (values) => BigUint64Array.from(values),
  int32: (values) => Int32Array.from(values, Number),
  uint32: (values) => Uint32Array.from(values, Number),
  int16: (values) => Int16Array.from(values, Number),
  uint16: (values) => Uint16Array.from(values, Number),
  int8: (values) => Int8Array.from(values, Number),
  uint8: (values) => Uint8Array.from(values, Number),
  bool: (values) => Uint8Array.from(values, Number),
};

/** Integers as a typed array of their own; the values must fit. */
export function integersAs(values: readonly bigint[], dtype: TensorType): TensorData {
  const make = INTEGERS[dtype];
  if (make === undefined) throw new SampleError('dtype', `${dtype} is not an integer type`);
  return make(values);
}

/** The index of the first NaN or infinity, or -1. Integers have none. */
export function findNotFinite(tensor: Tensor): number {
  const { data, dtype } = tensor;
  if (dtype === 'float16' && data instanceof Uint16Array) {
    // An exponent of all ones is an infinity or not a number.
    return data.findIndex((bits) => (bits & 0x7c00) === 0x7c00);
  }
  if (!(data instanceof Float32Array) && !(data instanceof Float64Array)) return -1;
  for (let i = 0; i < data.length; i += 1) if (!Number.isFinite(data[i])) return i;
  return -1;
}
