import { ModelError } from '../errors.ts';
import { bfloat16ToNumber, float16ToNumber } from '../small-floats.ts';
import type { ArrayClass, TypedArray } from '../typed-arrays.ts';
import type { TensorProto } from './generated/messages.ts';

/** onnx.TensorProto.DataType */
export const DataType = {
  FLOAT: 1,
  UINT8: 2,
  INT8: 3,
  UINT16: 4,
  INT16: 5,
  INT32: 6,
  INT64: 7,
  STRING: 8,
  BOOL: 9,
  FLOAT16: 10,
  DOUBLE: 11,
  UINT32: 12,
  UINT64: 13,
  COMPLEX64: 14,
  COMPLEX128: 15,
  BFLOAT16: 16,
  FLOAT8E4M3FN: 17,
  FLOAT8E4M3FNUZ: 18,
  FLOAT8E5M2: 19,
  FLOAT8E5M2FNUZ: 20,
  UINT4: 21,
  INT4: 22,
  FLOAT4E2M1: 23,
} as const;

interface TypeFacts {
  readonly name: string;
  readonly bits: number;
  /** How raw bytes are seen; 4-bit and 8-bit floats are seen as bytes. */
  readonly array: ArrayClass;
  /** For types that may travel in int32_data. */
  readonly narrow: ((values: Int32Array) => TypedArray) | undefined;
}

const facts = (
  name: string,
  bits: number,
  array: ArrayClass,
  narrow?: TypeFacts['narrow'],
): TypeFacts => ({ name, bits, array, narrow });

const toBytes = (values: Int32Array) => Uint8Array.from(values);
const toUint16 = (values: Int32Array) => Uint16Array.from(values);

const TYPES = new Map<number, TypeFacts>([
  [DataType.FLOAT, facts('float32', 32, Float32Array)],
  [DataType.UINT8, facts('uint8', 8, Uint8Array, toBytes)],
  [DataType.INT8, facts('int8', 8, Int8Array, (v) => Int8Array.from(v))],
  [DataType.UINT16, facts('uint16', 16, Uint16Array, toUint16)],
  [DataType.INT16, facts('int16', 16, Int16Array, (v) => Int16Array.from(v))],
  [DataType.INT32, facts('int32', 32, Int32Array, (v) => v)],
  [DataType.INT64, facts('int64', 64, BigInt64Array)],
  [DataType.BOOL, facts('bool', 8, Uint8Array, toBytes)],
  [DataType.FLOAT16, facts('float16', 16, Uint16Array, toUint16)],
  [DataType.DOUBLE, facts('float64', 64, Float64Array)],
  [DataType.UINT32, facts('uint32', 32, Uint32Array)],
  [DataType.UINT64, facts('uint64', 64, BigUint64Array)],
  [DataType.COMPLEX64, facts('complex64', 64, Float32Array)],
  [DataType.COMPLEX128, facts('complex128', 128, Float64Array)],
  [DataType.BFLOAT16, facts('bfloat16', 16, Uint16Array, toUint16)],
  [DataType.FLOAT8E4M3FN, facts('float8e4m3fn', 8, Uint8Array, toBytes)],
  [DataType.FLOAT8E4M3FNUZ, facts('float8e4m3fnuz', 8, Uint8Array, toBytes)],
  [DataType.FLOAT8E5M2, facts('float8e5m2', 8, Uint8Array, toBytes)],
  [DataType.FLOAT8E5M2FNUZ, facts('float8e5m2fnuz', 8, Uint8Array, toBytes)],
  [DataType.UINT4, facts('uint4', 4, Uint8Array, toBytes)],
  [DataType.INT4, facts('int4', 4, Uint8Array, toBytes)],
  [DataType.FLOAT4E2M1, facts('float4e2m1', 4, Uint8Array, toBytes)],
]);

/** `float32`, `int8`, ... or `type 99` for a number this program does not know. */
export function dataTypeName(dataType: number): string {
  if (dataType === DataType.STRING) return 'string';
  return TYPES.get(dataType)?.name ?? `type ${dataType}`;
}

export function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** Bytes that a tensor of this type and shape takes in `rawData`. */
export function byteLength(dataType: number, dims: readonly number[]): number {
  return Math.ceil((elementCount(dims) * (TYPES.get(dataType)?.bits ?? 0)) / 8);
}

const describe = (t: TensorProto) =>
  `tensor '${t.name ?? ''}' (${dataTypeName(t.dataType ?? 0)} [${t.dims.join(',')}])`;

/**
 * How a stored tensor's values are laid out.
 * @throws ModelError when it cannot hold numbers, or its shape is no shape
 */
function layoutOf(tensor: TensorProto): TypeFacts {
  const type = TYPES.get(tensor.dataType ?? 0);
  if (type === undefined) {
    throw new ModelError('BAD_TENSOR', `${describe(tensor)}: no numbers of this type`);
  }
  const bits = elementCount(tensor.dims) * type.bits;
  if (tensor.dims.some((dim) => dim < 0) || !Number.isSafeInteger(bits)) {
    throw new ModelError('BAD_TENSOR', `${describe(tensor)}: no such shape`);
  }
  return type;
}

/**
 * Bytes that a stored tensor should take.
 * @throws ModelError when its type or shape is none
 */
export function storedBytes(tensor: TensorProto): number {
  return Math.ceil((elementCount(tensor.dims) * layoutOf(tensor).bits) / 8);
}

/**
 * The values of a tensor as a typed array: a view on the file where the bytes are aligned, a copy
 * otherwise. float16 and bfloat16 come as raw 16-bit patterns, 4-bit types packed two to a byte.
 */
export function tensorData(tensor: TensorProto): TypedArray {
  const type = layoutOf(tensor);
  if (tensor.rawData !== undefined) return rawView(tensor, tensor.rawData, type);
  const typed = typedField(tensor, type);
  if (typed.byteLength !== storedBytes(tensor)) {
    throw new ModelError('BAD_TENSOR', `${describe(tensor)} holds ${typed.length} values`);
  }
  return typed;
}

function rawView(tensor: TensorProto, raw: Uint8Array, type: TypeFacts): TypedArray {
  const wanted = storedBytes(tensor);
  if (raw.length !== wanted) {
    throw new ModelError(
      'BAD_TENSOR',
      `${describe(tensor)} holds ${raw.length} bytes, not ${wanted}`,
    );
  }
  const size = type.array.BYTES_PER_ELEMENT;
  const aligned = raw.byteOffset % size === 0 ? raw : new Uint8Array(raw);
  return new type.array(aligned.buffer, aligned.byteOffset, raw.length / size);
}

/**
 * The values of a float32 tensor, as `tensorData` gives them.
 * @throws ModelError when it is of another type
 */
export function floatData(tensor: TensorProto): Float32Array {
  const data = tensorData(tensor);
  // Complex numbers come as pairs of float32.
  if (tensor.dataType === DataType.FLOAT && data instanceof Float32Array) return data;
  throw new ModelError('BAD_TENSOR', `${describe(tensor)}: expected float32`);
}

/** onnx.proto: small integers and half floats travel in int32_data, unsigned 32 bit in uint64_data. */
function typedField(tensor: TensorProto, type: TypeFacts): TypedArray {
  const { dataType } = tensor;
  if (dataType === DataType.FLOAT || dataType === DataType.COMPLEX64) {
    return tensor.floatData ?? new Float32Array(0);
  }
  if (dataType === DataType.DOUBLE || dataType === DataType.COMPLEX128) {
    return tensor.doubleData ?? new Float64Array(0);
  }
  if (dataType === DataType.INT64) return tensor.int64Data ?? new BigInt64Array(0);
  if (dataType === DataType.UINT64) return tensor.uint64Data ?? new BigUint64Array(0);
  if (dataType === DataType.UINT32) {
    return Uint32Array.from(tensor.uint64Data ?? new BigUint64Array(0), Number);
  }
  const values = tensor.int32Data ?? new Int32Array(0);
  return type.narrow?.(values) ?? values;
}

/** Types whose stored elements are not the numbers they stand for. */
const DECODERS = new Map<number, (stored: readonly number[], count: number) => number[]>([
  [DataType.FLOAT16, (stored) => stored.map(float16ToNumber)],
  [DataType.BFLOAT16, (stored) => stored.map(bfloat16ToNumber)],
  [DataType.UINT4, nibbles],
  [DataType.INT4, (stored, count) => nibbles(stored, count).map((value) => (value << 28) >> 28)],
]);

/**
 * The values as plain numbers, for small tensors such as axes, shapes and scales.
 * @throws ModelError for complex numbers and 4-bit and 8-bit floats
 */
export function tensorNumbers(tensor: TensorProto): number[] {
  const data: ArrayLike<number | bigint> = tensorData(tensor);
  if (/complex|float[48]/.test(dataTypeName(tensor.dataType ?? 0))) {
    throw new ModelError('BAD_TENSOR', `${describe(tensor)}: this type has no plain numbers`);
  }
  const stored = Array.from(data, Number);
  return DECODERS.get(tensor.dataType ?? 0)?.(stored, elementCount(tensor.dims)) ?? stored;
}

/** onnx.proto: two 4-bit values to a byte, the first one in the low half. */
function nibbles(bytes: readonly number[], count: number): number[] {
  return Array.from({ length: count }, (_, index) => {
    const byte = bytes[index >> 1] ?? 0;
    return index % 2 === 0 ? byte & 15 : byte >> 4;
  });
}

/** A tensor from values; the bytes are shared with `data`, not copied. */
export function makeTensor(
  name: string,
  dataType: number,
  dims: readonly number[],
  data: ArrayBufferView,
): TensorProto {
  const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (rawData.length !== byteLength(dataType, dims)) {
    throw new ModelError(
      'BAD_TENSOR',
      `'${name}': ${rawData.length} bytes for [${dims.join(',')}]`,
    );
  }
  return { ...EMPTY_TENSOR, name, dataType, dims, rawData };
}

const EMPTY_TENSOR: TensorProto = { dims: [], stringData: [], externalData: [] };

/** A float32 scalar (dims []) or vector. */
export function floatTensor(name: string, values: number | ArrayLike<number>): TensorProto {
  if (typeof values === 'number') {
    return makeTensor(name, DataType.FLOAT, [], Float32Array.of(values));
  }
  return makeTensor(name, DataType.FLOAT, [values.length], Float32Array.from(values));
}

/** An int64 vector, the type of axes and shapes. */
export function int64Tensor(name: string, values: readonly (number | bigint)[]): TensorProto {
  return makeTensor(name, DataType.INT64, [values.length], BigInt64Array.from(values, BigInt));
}
