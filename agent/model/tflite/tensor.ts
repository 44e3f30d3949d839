import { ModelError } from '../errors.ts';
import { bfloat16ToNumber, float16ToNumber } from '../small-floats.ts';
import type { ArrayClass, TypedArray } from '../typed-arrays.ts';
import type { TensorType, TfliteTensor } from './types.ts';

interface TypeFacts {
  readonly bits: number;
  /** How the bytes are seen; types of less than a byte and 8-bit floats are seen as bytes. */
  readonly array: ArrayClass;
  /** What stored elements stand for; absent where they are the numbers themselves. */
  readonly decode?: (stored: readonly number[], count: number) => number[];
}

/** Texts, resources and variants hold no numbers. */
const TYPES = new Map<TensorType, TypeFacts>([
  ['FLOAT32', { bits: 32, array: Float32Array }],
  ['FLOAT16', { bits: 16, array: Uint16Array, decode: (v) => v.map(float16ToNumber) }],
  ['INT32', { bits: 32, array: Int32Array }],
  ['UINT8', { bits: 8, array: Uint8Array }],
  ['INT64', { bits: 64, array: BigInt64Array }],
  ['BOOL', { bits: 8, array: Uint8Array }],
  ['INT16', { bits: 16, array: Int16Array }],
  ['COMPLEX64', { bits: 64, array: Float32Array }],
  ['INT8', { bits: 8, array: Int8Array }],
  ['FLOAT64', { bits: 64, array: Float64Array }],
  ['COMPLEX128', { bits: 128, array: Float64Array }],
  ['UINT64', { bits: 64, array: BigUint64Array }],
  ['UINT32', { bits: 32, array: Uint32Array }],
  ['UINT16', { bits: 16, array: Uint16Array }],
  ['INT4', { bits: 4, array: Uint8Array, decode: (v, count) => unpack(v, count, 4, true) }],
  ['BFLOAT16', { bits: 16, array: Uint16Array, decode: (v) => v.map(bfloat16ToNumber) }],
  ['INT2', { bits: 2, array: Uint8Array, decode: (v, count) => unpack(v, count, 2, true) }],
  ['UINT4', { bits: 4, array: Uint8Array, decode: (v, count) => unpack(v, count, 4, false) }],
  ['FLOAT8_E4M3FN', { bits: 8, array: Uint8Array }],
  ['FLOAT8_E5M2', { bits: 8, array: Uint8Array }],
]);

/** Seen as arrays, but not of one number per element. */
const NO_PLAIN_NUMBERS: ReadonlySet<TensorType> = new Set<TensorType>([
  'COMPLEX64',
  'COMPLEX128',
  'FLOAT8_E4M3FN',
  'FLOAT8_E5M2',
]);

/** 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

/** Bits of one element; undefined for types without numbers. */
export function elementBits(type: TensorType): number | undefined {
  return TYPES.get(type)?.bits;
}

/**
 * Whether the tensor's values are in the file, or in one that the file names. Some exporters give
 * computed tensors empty buffers of their own; runtimes take those for none.
 */
export function isConstant({ data, externalBuffer, shape }: TfliteTensor): boolean {
  if (externalBuffer !== 0) return true;
  return data !== null && (data.length > 0 || elementCount(shape) === 0);
}

/** Whether the tensor is a float32 constant whose values lie in the file one by one. */
export function isPlainFloats(
  tensor: TfliteTensor | undefined,
): tensor is TfliteTensor & { readonly data: Uint8Array } {
  if (tensor?.type !== 'FLOAT32' || tensor.sparsity !== undefined) return false;
  return isConstant(tensor) && tensor.data !== null;
}

/** `tensor 'weights' (INT8 [8,3,3,1])` */
export function describeTensor({ name, type, shape }: TfliteTensor): string {
  return `tensor '${name}' (${type} [${shape.join(',')}])`;
}

/**
 * Bytes that a tensor of this type and shape takes.
 * @throws ModelError when the type holds no numbers, or a dimension is unknown
 */
export function storedBytes(tensor: TfliteTensor): number {
  return Math.ceil((elementCount(tensor.shape) * layoutOf(tensor).bits) / 8);
}

function layoutOf(tensor: TfliteTensor): TypeFacts {
  const type = TYPES.get(tensor.type);
  if (type === undefined) throw bad(tensor, 'no numbers of this type');
  const bits = elementCount(tensor.shape) * type.bits;
  if (tensor.shape.some((dim) => dim < 0) || !Number.isSafeInteger(bits)) {
    throw bad(tensor, 'no such shape');
  }
  return type;
}

/**
 * The values of a constant as a typed array: a view on the file where the bytes are aligned, a copy
 * otherwise. float16 and bfloat16 come as raw 16-bit patterns, 4-bit and 2-bit types packed.
 * @throws ModelError when it has no values here, or not as many as its shape says
 */
export function tensorData(tensor: TfliteTensor): TypedArray {
  const { array } = layoutOf(tensor);
  const data = denseBytes(tensor);
  const size = array.BYTES_PER_ELEMENT;
  const aligned = data.byteOffset % size === 0 ? data : new Uint8Array(data);
  return new array(aligned.buffer, aligned.byteOffset, data.length / size);
}

function denseBytes(tensor: TfliteTensor): Uint8Array {
  const { data } = tensor;
  if (data === null) {
    if (tensor.externalBuffer === 0) throw bad(tensor, 'no constant');
    throw new ModelError(
      'EXTERNAL_DATA',
      `${describeTensor(tensor)}: its values are in another file, which cannot be read yet`,
    );
  }
  if (tensor.sparsity !== undefined) throw bad(tensor, 'stored sparsely');
  const wanted = storedBytes(tensor);
  if (data.length !== wanted) throw bad(tensor, `holds ${data.length} bytes, not ${wanted}`);
  return data;
}

function bad(tensor: TfliteTensor, what: string): ModelError {
  return new ModelError('BAD_TENSOR', `${describeTensor(tensor)}: ${what}`);
}

/**
 * The values as plain numbers, for small tensors such as axes, shapes and scales.
 * @throws ModelError as `tensorData`, and for complex numbers and 8-bit floats
 */
export function tensorNumbers(tensor: TfliteTensor): number[] {
  const data: ArrayLike<number | bigint> = tensorData(tensor);
  if (NO_PLAIN_NUMBERS.has(tensor.type)) throw bad(tensor, 'this type has no plain numbers');
  const stored = Array.from(data, Number);
  return layoutOf(tensor).decode?.(stored, elementCount(tensor.shape)) ?? stored;
}

/**
 * The values of a float32 or float16 constant as float32: a view where the file holds float32.
 * @throws ModelError when it is of another type
 */
export function floatData(tensor: TfliteTensor): Float32Array {
  const data = tensorData(tensor);
  if (tensor.type === 'FLOAT32' && data instanceof Float32Array) return data;
  if (tensor.type === 'FLOAT16' && data instanceof Uint16Array) {
    return Float32Array.from(data, float16ToNumber);
  }
  throw bad(tensor, 'expected float32 or float16');
}

/** Several values to a byte, the first one in the lowest bits; `signed` ones in two's complement. */
function unpack(bytes: readonly number[], count: number, bits: number, signed: boolean): number[] {
  const perByte = 8 / bits;
  const unused = 32 - bits;
  return Array.from({ length: count }, (_, index) => {
    const byte = bytes[Math.floor(index / perByte)] ?? 0;
    const high = (byte >> (bits * (index % perByte))) << unused;
    return signed ? high >> unused : high >>> unused;
  });
}
