import { bytesOf } from '../../model/bytes.ts';
import { indexGraph } from '../../model/tflite/graph.ts';
import { isQuantized, numericKind } from '../../model/tflite/numeric-kind.ts';
import { elementBits, isConstant, tensorNumbers } from '../../model/tflite/tensor.ts';
import type { TfliteGraph, TfliteTensor } from '../../model/tflite/types.ts';
import { channelView } from '../arithmetic.ts';

/** A graph whose constants are floats. */
export interface Decoded {
  readonly graph: TfliteGraph;
  /** By the index of a decoded constant: the integers that it stands for. */
  readonly stored: ReadonlyMap<number, TfliteTensor>;
  /** What stood in place of the decoded constants. */
  readonly before: ReadonlyMap<number, TfliteTensor>;
}

/**
 * Constants in 8 bits of operators that compute in float, as the floats that they stand for: weights
 * of a dynamic-range model, and what a DEQUANTIZE makes of a constant. That is how static
 * quantization looks at them; where their integers may stay, it takes those and not the floats, since
 * quantizing twice would only add error. Operators keep their inputs: with `before` put back, the
 * graph computes what it did.
 */
export function decodeStored(graph: TfliteGraph): Decoded {
  const { outputs } = indexGraph(graph);
  const stored = new Map<number, TfliteTensor>();
  for (const operator of graph.operators) {
    const [from = -1] = operator.inputs;
    const [made = -1] = operator.outputs;
    const source = graph.tensors[from];
    if (operator.op === 'DEQUANTIZE' && isReadable(source) && !outputs.has(made)) {
      stored.set(made, source);
    }
    if (numericKind(graph, operator) !== 'hybrid') continue;
    for (const at of operator.inputs) {
      const tensor = graph.tensors[at];
      if (isReadable(tensor)) stored.set(at, tensor);
    }
  }
  const before = new Map([...stored.keys()].flatMap((at) => entry(at, graph.tensors[at])));
  const tensors = graph.tensors.map((tensor, at) => {
    const from = stored.get(at);
    return from === undefined ? tensor : decoded(tensor, from);
  });
  return { graph: { ...graph, tensors }, stored, before };
}

function entry(at: number, tensor: TfliteTensor | undefined): [number, TfliteTensor][] {
  return tensor === undefined ? [] : [[at, tensor]];
}

function isReadable(tensor: TfliteTensor | undefined): tensor is TfliteTensor {
  if (tensor === undefined || !isConstant(tensor) || !isQuantized(tensor)) return false;
  const { data, sparsity, quantization, type } = tensor;
  if (data === null || sparsity !== undefined || elementBits(type) === undefined) return false;
  return quantization?.details === undefined;
}

/** (stored - zero point) * scale, as DEQUANTIZE has it. */
function decoded(tensor: TfliteTensor, from: TfliteTensor): TfliteTensor {
  const { scale = [], zeroPoint = [], axis = 0 } = from.quantization ?? {};
  const { inner } = channelView(from.shape, axis);
  const channelOf = (at: number) =>
    scale.length === 1 ? 0 : Math.floor(at / inner) % scale.length;
  const values = Float32Array.from(tensorNumbers(from), (value, at) => {
    const channel = channelOf(at);
    return (value - (zeroPoint[channel] ?? 0)) * (scale[channel] ?? 0);
  });
  return { ...tensor, type: 'FLOAT32', data: bytesOf(values), quantization: null };
}

/** The lowest int8, which older kernels for ARM take for impossible in weights. */
const BELOW_WEIGHTS = 0x80;

/**
 * Whether integer kernels take these very weights: int8 within [-127, 127], zero points 0, one scale
 * for all or one for each output channel along `axis`.
 */
export function isReusable(
  { type, quantization, shape, data }: TfliteTensor,
  axis: number,
): boolean {
  if (type !== 'INT8' || quantization === null || quantization.details !== undefined) return false;
  const { scale, zeroPoint } = quantization;
  if (zeroPoint.some((point) => point !== 0) || scale.some((one) => !(one > 0))) return false;
  if (data === null || data.includes(BELOW_WEIGHTS)) return false;
  return scale.length === 1 || (quantization.axis === axis && scale.length === shape[axis]);
}
