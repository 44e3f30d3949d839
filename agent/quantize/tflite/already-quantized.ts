import type { TfliteModel, TfliteTensor } from '../../model/tflite/types.ts';

/** Types that hold quantized values, if the tensor says of which scale. */
const STORED: ReadonlySet<string> = new Set(['INT8', 'UINT8', 'INT16', 'INT4', 'UINT4', 'INT2']);

/** A tensor of the model that holds quantized values, if there is one. */
export function quantizedTensor(model: TfliteModel): TfliteTensor | undefined {
  return model.subgraphs.flatMap(({ tensors }) => tensors).find(isQuantized);
}

function isQuantized({ type, quantization }: TfliteTensor): boolean {
  if (quantization === null || !STORED.has(type)) return false;
  return quantization.scale.length > 0 || quantization.details !== undefined;
}
