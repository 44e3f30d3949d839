import { isConstant } from './tensor.ts';
import type { TensorType, TfliteGraph, TfliteOperator, TfliteTensor } from './types.ts';

/** With what kind of numbers an operator computes, read from the types of its tensors. */
export type NumericKind =
  /** Quantized activations. */
  | 'integer'
  /** Float activations and weights in few bits: the kernel quantizes activations while it runs. */
  | 'hybrid'
  | 'float'
  /** From one kind to another: QUANTIZE, DEQUANTIZE, FAKE_QUANT. */
  | 'conversion'
  /** Shapes, indices, truth values, texts, resources. */
  | 'other';

const FLOATS: readonly TensorType[] = ['FLOAT32', 'FLOAT16', 'FLOAT64', 'BFLOAT16'];
const SMALL_INTEGERS: readonly TensorType[] = ['INT8', 'UINT8', 'INT16', 'INT4', 'INT2', 'UINT4'];

export const isFloatType = (type: TensorType): boolean => FLOATS.includes(type);

/** Integers that stand for real numbers. */
export function isQuantized({ type, quantization }: TfliteTensor): boolean {
  if (!SMALL_INTEGERS.includes(type) || quantization === null) return false;
  return quantization.scale.length > 0 || quantization.details?.kind === 'BlockwiseQuantization';
}

const CONVERSIONS: readonly string[] = ['QUANTIZE', 'DEQUANTIZE', 'FAKE_QUANT'];

export function numericKind(graph: TfliteGraph, operator: TfliteOperator): NumericKind {
  if (CONVERSIONS.includes(operator.op)) return 'conversion';
  const tensorsAt = (list: readonly number[]) =>
    list.flatMap((index) => graph.tensors[index] ?? []);
  const inputs = tensorsAt(operator.inputs);
  const activations = [...inputs.filter((one) => !isConstant(one)), ...tensorsAt(operator.outputs)];
  if (activations.some(isQuantized)) return 'integer';
  if (!activations.some(({ type }) => isFloatType(type))) return 'other';
  return inputs.some((one) => isConstant(one) && isQuantized(one)) ? 'hybrid' : 'float';
}
