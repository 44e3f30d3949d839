import { bytesOf } from '../../model/bytes.ts';
import { floatData } from '../../model/tflite/tensor.ts';
import { makeQuantization } from '../../model/tflite/types.ts';
import type { Quantization, TensorType, TfliteTensor } from '../../model/tflite/types.ts';
import { FULL_RANGE, roundHalfEven } from '../arithmetic.ts';
import type { QuantParams, QuantType } from '../arithmetic.ts';

export const TENSOR_TYPE: Readonly<Record<QuantType, TensorType>> = {
  u8: 'UINT8',
  s8: 'INT8',
  s16: 'INT16',
};

export function quantizationOf({ scale, zeroPoint }: QuantParams): Quantization {
  return makeQuantization([scale], [zeroPoint]);
}

/** The same tensor of integers with these params; its values, if it has any, are left out. */
export function integerTensor(tensor: TfliteTensor, params: QuantParams): TfliteTensor {
  return {
    ...tensor,
    type: TENSOR_TYPE[params.type],
    data: null,
    quantization: quantizationOf(params),
  };
}

/** A float constant in integers; what lies outside of their range is cut off. */
export function integerConstant(tensor: TfliteTensor, params: QuantParams): TfliteTensor {
  const { scale, zeroPoint, type } = params;
  const { min, max } = FULL_RANGE[type];
  const values = floatData(tensor).map((value) =>
    Math.min(Math.max(roundHalfEven(value / scale) + zeroPoint, min), max),
  );
  const stored = type === 's16' ? Int16Array.from(values) : Int8Array.from(values);
  return { ...integerTensor(tensor, params), data: bytesOf(stored) };
}
