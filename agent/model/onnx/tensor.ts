import { ModelError } from '../errors.ts';
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

type TypedArray =
  | Float32Array
  | Float64Array
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | BigInt64Array
  | BigUint64Array;

type ArrayClass = {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): TypedArray;
  from(values: Iterable<never>): TypedArray;
};

interface TypeFacts {
  readonly name: string;
  readonly bits: number;
  /** How raw bytes are seen; 4-bit and 8-bit floats are seen as bytes. */
  readonly array: ArrayClass;
}

const facts = (name: string, bits: number, array: unknown): TypeFacts => ({
  name,
  bits,
  // The typed-array constructors differ in their element type only, which TensorProto.dataType tells.
  array: array as ArrayClass,
});

const TYPES = new Map<number, TypeFacts>([
  [DataType.FLOAT, facts('float32', 32, Float32Array)],
  [DataType.UINT8, facts('uint8', 8, Uint8Array)],
  [DataType.INT8, facts('int8', 8, Int8Array)],
  [DataType.UINT16, facts('uint16', 16, Uint16Array)],
  [DataType.INT16, facts('int16', 16, Int16Array)],
  [DataType.INT32, facts('int32', 32, Int32Array)],
  [DataType.INT64, facts('int64', 64, BigInt64Array)],
  [DataType.BOOL, facts('bool', 8, Uint8Array)],
  [DataType.FLOAT16, facts('float16', 16, Uint16Array)],
  [DataType.DOUBLE, facts('float64', 64, Float64Array)],
  [DataType.UINT32, facts('uint32', 32, Uint32Array)],
  [DataType.UINT64, facts('uint64', 64, BigUint64Array)],
  [DataType.COMPLEX64, facts('complex64', 64, Float32Array)],
  [DataType.COMPLEX128, facts('complex128', 128, Float64Array)],
  [DataType.BFLOAT16, facts('bfloat16', 16, Uint16Array)],
  [DataType.FLOAT8E4M3FN, facts('float8e4m3fn', 8, Uint8Array)],
  [DataType.FLOAT8E4M3FNUZ, facts('float8e4m3fnuz', 8, Uint8Array)],
  [DataType.FLOAT8E5M2, facts('float8e5m2', 8, Uint8Array)],
  [DataType.FLOAT8E5M2FNUZ, facts('float8e5m2fnuz', 8, Uint8Array)],
  [DataType.UINT4, facts('uint4', 4, Uint8Array)],
  [DataType.INT4, facts('int4', 4, Uint8Array)],
  [DataType.FLOAT4E2M1, facts('float4e2m1', 4, Uint8Array)],
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
 * The values of a tensor as a typed array: a view on the file where the bytes are aligned, a copy
 * otherwise. float16 and bfloat16 come as raw 16-bit patterns, 4-bit types packed two to a byte.
 */
export function tensorData(tensor: TensorProto): TypedArray {
  const type = TYPES.get(tensor.dataType ?? 0);
  if (type === undefined) {
    throw new ModelError('BAD_TENSOR', `${describe(tensor)}: no numbers of this type`);
  }
  if (tensor.rawData !== undefined) return rawView(tensor, tensor.rawData, type);
  const wanted = Math.ceil(
    (elementCount(tensor.dims) * type.bits) / (type.bits < 8 ? 8 : type.bits),
  );
  const typed = typedField(tensor, type);
  if (
    typed.length !== wanted &&
    !(type.name.startsWith('complex') && typed.length === 2 * wanted)
  ) {
    throw new ModelError('BAD_TENSOR', `${describe(tensor)} holds ${typed.length} values`);
  }
  return typed;
}

function rawView(tensor: TensorProto, raw: Uint8Array, type: TypeFacts): TypedArray {
  const wanted = byteLength(tensor.dataType ?? 0, tensor.dims);
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
  return type.array.from(values as Iterable<never>);
}

/** The values as plain numbers, for small tensors such as axes, shapes and scales. */
export function tensorNumbers(tensor: TensorProto): number[] {
  const data = tensorData(tensor);
  if (tensor.dataType === DataType.FLOAT16) {
    return Array.from(data as Uint16Array, float16ToNumber);
  }
  return Array.from(data as ArrayLike<number | bigint>, Number);
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
export function int64Tensor(name: string, values: readonly number[]): TensorProto {
  return makeTensor(name, DataType.INT64, [values.length], BigInt64Array.from(values, BigInt));
}

/** IEEE 754 binary16 to a number. */
export function float16ToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
