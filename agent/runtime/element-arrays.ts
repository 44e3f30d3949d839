import type { TensorData, TensorType } from './types.ts';

type NumericArray = Exclude<TensorData, readonly string[]>;
export type NumericType = Exclude<TensorType, 'string'>;

interface NumericArrayClass {
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): NumericArray;
  new (buffer: ArrayBuffer): NumericArray;
}

/** The array that holds the elements of a tensor: float16 as bits, bool as bytes. */
export const ELEMENT_ARRAYS: Readonly<Record<NumericType, NumericArrayClass>> = {
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

export function isNumericType(name: string): name is NumericType {
  return Object.hasOwn(ELEMENT_ARRAYS, name);
}

export function newArray(type: NumericType, length: number): NumericArray {
  return new ELEMENT_ARRAYS[type](length);
}
