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
  const numbers = () => Array.from(data as ArrayLike<number | bigint>, Number);
  if (dtype === 'float64') return Float32Array.from(numbers());
  const isLong = dtype === 'int64' || dtype === 'uint64';
  if (isLong && (version?.major ?? WITH_INT64) < WITH_INT64) return Int32Array.from(numbers());
  return data;
}

/** An output as the model declares it; half floats come as the numbers they stand for. */
export function toTensor(dtype: TensorType, { shape, values }: ExportedOutput): Tensor {
  switch (dtype) {
    case 'int64':
      return { dtype, shape, data: BigInt64Array.from(values, toBigInt) };
    case 'uint64':
      return { dtype, shape, data: BigUint64Array.from(values, toBigInt) };
    case 'int32':
      return { dtype, shape, data: Int32Array.from(values) };
    case 'uint8':
    case 'bool':
      return { dtype, shape, data: Uint8Array.from(values) };
    case 'int8':
      return { dtype, shape, data: Int8Array.from(values) };
    default:
      return { dtype: 'float32', shape, data: Float32Array.from(values) };
  }
}

function toBigInt(value: number): bigint {
  return Number.isFinite(value) ? BigInt(Math.trunc(value)) : 0n;
}
