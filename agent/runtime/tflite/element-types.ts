import type { TensorData, TensorType } from '../types.ts';

/** TfLiteType (tensorflow/lite/c/c_api_types.h), by number. */
const NAMES: readonly string[] = [
  'none',
  'float32',
  'int32',
  'uint8',
  'int64',
  'string',
  'bool',
  'int16',
  'complex64',
  'int8',
  'float16',
  'float64',
  'complex128',
  'uint64',
  'resource',
  'variant',
  'uint32',
  'uint16',
  'int4',
  'bfloat16',
];

type NumericArray = Exclude<TensorData, readonly string[]>;

/** Element types that can be fed and compared, and the array that holds them. */
const ARRAYS: Readonly<
  Record<Exclude<TensorType, 'string'>, new (length: number) => NumericArray>
> = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
};

export type NumericType = keyof typeof ARRAYS;

/** The name of a TfLiteType; `type 42` for one that is newer than this program. */
export function typeName(type: number): string {
  return NAMES[type] ?? `type ${type}`;
}

export function isNumericType(name: string): name is NumericType {
  return Object.hasOwn(ARRAYS, name);
}

export function newArray(type: NumericType, length: number): NumericArray {
  return new ARRAYS[type](length);
}
