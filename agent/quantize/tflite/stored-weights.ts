import type { GraphIndex } from '../../model/tflite/graph.ts';
import { isQuantized } from '../../model/tflite/numeric-kind.ts';
import { isConstant } from '../../model/tflite/tensor.ts';
import type { TfliteGraph, TfliteOperator, TfliteTensor } from '../../model/tflite/types.ts';
import { weightInputs } from '../../model/tflite/weight-inputs.ts';

/** Weights that a model holds in 8 bits already, and how far static quantization may take them. */
export interface StoredWeights {
  /** The constant with its integers and scales. */
  readonly tensor: TfliteTensor;
  /** Its index in the graph. */
  readonly index: number;
  /**
   * Whether integer kernels take these very values: int8, zero points 0, one scale for all or one
   * for each output channel. Otherwise they have to be quantized anew from the floats they stand for.
   */
  readonly reusable: boolean;
}

/**
 * The 8-bit weights at an input of an operator that computes in float: its own, in a dynamic-range
 * model, or those that a DEQUANTIZE makes floats of. Undefined where the weights are floats.
 *
 * How a static quantizer treats a CONV_2D with float activations and such weights: it takes `tensor`
 * as it is when `reusable`, without looking at its values again (quantizing twice would only add
 * error), drops the DEQUANTIZE, quantizes the input and the output by their ranges as ever, and
 * stores the bias as int32 in steps of input scale times `scale[channel]`, or times the one scale.
 * Kernels take both. A per-channel FULLY_CONNECTED needs TFLite 2.17 only in its hybrid form: with
 * integer activations older ones run it. The version of the operator becomes that of int8
 * activations, not the higher of both, and `asymmetricQuantizeInputs` false.
 */
export function storedWeights(
  graph: TfliteGraph,
  { producer }: Pick<GraphIndex, 'producer'>,
  operator: TfliteOperator,
  position: number,
): StoredWeights | undefined {
  const weights = weightInputs(graph, operator).find((one) => one.position === position);
  if (weights === undefined) return undefined;
  const index = storedIndex(producer, operator.inputs[position] ?? -1);
  const tensor = graph.tensors[index];
  if (tensor === undefined || !isConstant(tensor) || !isQuantized(tensor)) return undefined;
  return { tensor, index, reusable: isReusable(tensor, weights.axis) };
}

function storedIndex(producer: ReadonlyMap<number, TfliteOperator>, index: number): number {
  const maker = producer.get(index);
  return maker?.op === 'DEQUANTIZE' ? (maker.inputs[0] ?? -1) : index;
}

function isReusable({ type, quantization, shape }: TfliteTensor, axis: number): boolean {
  if (type !== 'INT8' || quantization === null || quantization.details !== undefined) return false;
  const { scale, zeroPoint } = quantization;
  if (zeroPoint.some((point) => point !== 0) || scale.some((one) => !(one > 0))) return false;
  return scale.length === 1 || (quantization.axis === axis && scale.length === shape[axis]);
}
