import { RuntimeFailure } from '../errors.ts';
import type { Tensor, TensorData, TensorType } from '../types.ts';
import type { ExportedOutput } from './json.ts';
import type { TensorRtVersion } from './version.ts';

/** Before 10.0 TensorRT has no 64-bit integers: its parser makes int32 of them. */
const WITH_INT64 = 10;

/** The raw bytes of an input as `--loadInputs` reads them. Throws UNSUPPORTED for text. */
export function toFile(
  name: string,
  { dtype, data }: Tensor,
  version: TensorRtVersion | null,
): Uint8Array {
  const converted = convert(dtype, data, version);
  if (ArrayBuffer.isView(converted)) {
    return new Uint8Array(converted.buffer, converted.byteOffset, converted.byteLength);
  }
  throw new RuntimeFailure('UNSUPPORTED', `input '${name}': TensorRT takes no ${dtype}`);
}

function convert(dtype: TensorType, data: TensorData, version: TensorRtVersion | null): TensorData {
  if (!ArrayBuffer.isView(data)) return data;
  if (dtype === 'float64') return Float32Array.from(data, Number);
  const isLong = dtype === 'int64' || dtype === 'uint64';
  const asInt32 = isLong && version !== null && version.major < WITH_INT64;
  return asInt32 ? Int32Array.from(data, Number) : data;
}

/** An output as the model declares it; half floats come as the numbers they stand for. */
export function toTensor(dtype: TensorType, { shape, values }: ExportedOutput): Tensor {
  return { dtype: KEPT.has(dtype) ? dtype : 'float32', shape, data: stored(dtype, values) };
}

const KEPT: ReadonlySet<TensorType> = new Set([
  'int64',
  'uint64',
  'int32',
  'uint8',
  'bool',
  'int8',
]);

function stored(dtype: TensorType, values: readonly number[]): TensorData {
  if (dtype === 'int64') return BigInt64Array.from(values, toBigInt);
  if (dtype === 'uint64') return BigUint64Array.from(values, toBigInt);
  if (dtype === 'int32') return Int32Array.from(values);
  if (dtype === 'int8') return Int8Array.from(values);
  return dtype === 'uint8' || dtype === 'bool'
    ? Uint8Array.from(values)
    : Float32Array.from(values);
}

function toBigInt(value: number): bigint {
  return Number.isFinite(value) ? BigInt(Math.trunc(value)) : 0n;
}
