import type { TensorProto } from '../../model/onnx/generated/messages.ts';
import { DataType, makeTensor } from '../../model/onnx/tensor.ts';
import type { Outputs } from '../../runtime/types.ts';
import { FitError } from '../errors.ts';

const TYPES: Readonly<Record<string, number>> = {
  float32: DataType.FLOAT,
  float64: DataType.DOUBLE,
  float16: DataType.FLOAT16,
  int8: DataType.INT8,
  uint8: DataType.UINT8,
  int16: DataType.INT16,
  uint16: DataType.UINT16,
  int32: DataType.INT32,
  uint32: DataType.UINT32,
  int64: DataType.INT64,
  uint64: DataType.UINT64,
  bool: DataType.BOOL,
};

/** The element type of a dtype; float where a model holds no such thing. */
export function elementType(dtype: string): number {
  return TYPES[dtype] ?? DataType.FLOAT;
}

/** What a runtime gave, as tensors of a model. Throws `FitError` for text. */
export function toTensors(outputs: Outputs): Map<string, TensorProto> {
  const tensors = new Map<string, TensorProto>();
  for (const [name, { dtype, shape, data }] of Object.entries(outputs)) {
    const type = TYPES[dtype];
    if (type === undefined || !ArrayBuffer.isView(data)) {
      throw new FitError('no-runtime', `'${name}' is of type ${dtype}, which is not folded`);
    }
    tensors.set(name, makeTensor(name, type, shape, data));
  }
  return tensors;
}
