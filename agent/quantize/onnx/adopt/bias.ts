import type { GraphProto, NodeProto } from '../../../model/onnx/generated/messages.ts';
import { floatAttribute, indexGraph, intAttribute, opName } from '../../../model/onnx/graph.ts';
import type { GraphIndex } from '../../../model/onnx/graph.ts';
import { DataType, floatData } from '../../../model/onnx/tensor.ts';
import { quantizeBias, roundHalfEven, scaleForBias } from '../../arithmetic.ts';
import { INTEGER_RANGE, channelOf, isDequantize, isScalar, paramsOf } from './params.ts';
import { storedBehind } from './params.ts';
import type { StoredIntegers } from './params.ts';
import { LinearWriter } from './writer.ts';

/** A bias takes at most this much of int32, so that the products still fit in beside it. */
const LARGEST_BIAS = 2 ** 30;

/** Integers of narrow weights grow up to here: x86 without VNNI adds two products in 16 bits. */
const LARGEST_GROWN = 64;

/**
 * Float biases of integer convolutions and Gemms become int32 in steps of input scale * weight scale,
 * the form that integer kernels read. A channel of nearly zero weights has steps too fine for its
 * bias: it gets coarser weights, which beside such a bias nobody can see.
 */
export function integerBiases(graph: GraphProto): GraphProto {
  const index = indexGraph(graph);
  const writer = new LinearWriter(graph);
  let changed = false;
  const node = graph.node.flatMap((one) => {
    const request = requestOf(one, index);
    if (request === undefined) return [one];
    changed = true;
    return withIntegerBias(one, request, writer);
  });
  return changed ? writer.graph(graph, node) : graph;
}

interface Request {
  readonly inputScale: number;
  readonly weights: StoredIntegers;
  readonly bias: Float32Array;
}

function requestOf(node: NodeProto, index: GraphIndex): Request | undefined {
  const axis = outputAxis(node);
  const [x = '', w = '', b = ''] = node.input;
  const tensor = index.initializers.get(b);
  const maker = index.producer.get(x);
  if (axis === undefined || tensor?.dataType !== DataType.FLOAT || !isDequantize(maker)) {
    return undefined;
  }
  const input = paramsOf(maker, index);
  const weights = storedBehind(w, index);
  if (input === undefined || !isScalar(input) || weights === undefined) return undefined;
  const { axis: given } = weights.params;
  if (given !== undefined && given !== axis && given + weights.dims.length !== axis) {
    return undefined;
  }
  const bias = floatData(tensor);
  if (bias.length !== weights.dims[axis] || !bias.every(Number.isFinite)) return undefined;
  return { inputScale: input.scales[0] ?? 1, weights, bias };
}

/** The axis of the weights that holds the outputs, of ops whose kernels take an int32 bias. */
function outputAxis(node: NodeProto): number | undefined {
  const op = opName(node);
  if (op === 'Conv') return 0;
  const scalesBias = (floatAttribute(node, 'beta') ?? 1) !== 1;
  if (op !== 'Gemm' || scalesBias || (floatAttribute(node, 'alpha') ?? 1) !== 1) return undefined;
  return (intAttribute(node, 'transB') ?? 0) === 0 ? 1 : 0;
}

function withIntegerBias(
  node: NodeProto,
  { inputScale, weights, bias }: Request,
  writer: LinearWriter,
): readonly NodeProto[] {
  const [x = '', w = '', b = ''] = node.input;
  const fitted = fittedTo(bias, inputScale, weights);
  const made = quantizeBias(bias, inputScale, fitted.params.scales);
  const perChannel = fitted.params.axis !== undefined;
  const name = writer.unique(`${b}_dequantized`);
  const dequantized = writer.stored(b, name, {
    dims: [bias.length],
    values: made.values,
    params: {
      scales: perChannel ? made.scales : made.scales.slice(0, 1),
      zeroPoints: Array<number>(perChannel ? bias.length : 1).fill(0),
      dataType: DataType.INT32,
      axis: perChannel ? 0 : undefined,
    },
  });
  if (fitted === weights) return [dequantized, { ...node, input: [x, w, name] }];
  const copy = writer.unique(`${w}_fitted`);
  return [dequantized, writer.stored(w, copy, fitted), { ...node, input: [x, copy, name] }];
}

/** The same weights, or a copy of them in steps that suit the biases. */
function fittedTo(bias: Float32Array, inputScale: number, weights: StoredIntegers): StoredIntegers {
  const { dims, values, params } = weights;
  const channel = channelOf(dims, params.axis);
  const largest = new Float64Array(params.scales.length);
  for (let i = 0; i < values.length; i++) {
    const c = channel(i);
    const size = Math.abs((values[i] ?? 0) - (params.zeroPoints[c] ?? 0));
    largest[c] = Math.max(largest[c] ?? 0, size);
  }
  const worst =
    params.axis === undefined ? [bias.reduce((a, b) => Math.max(a, Math.abs(b)), 0)] : bias;
  const scales = params.scales.map((scale, c) =>
    fittedScale(scale, { largest: largest[c] ?? 0, bias: worst[c] ?? 0, inputScale }),
  );
  if (scales.every((scale, c) => scale === params.scales[c])) return weights;
  const [min, max] = INTEGER_RANGE.get(params.dataType) ?? [0, 0];
  const fitted = Int32Array.from(values, (q, i) => {
    const c = channel(i);
    const zero = params.zeroPoints[c] ?? 0;
    const ratio = (params.scales[c] ?? 1) / (scales[c] ?? 1);
    return Math.min(Math.max(roundHalfEven((q - zero) * ratio) + zero, min), max);
  });
  return { dims, values: fitted, params: { ...params, scales } };
}

interface Channel {
  /** The largest magnitude among its integers. */
  readonly largest: number;
  readonly bias: number;
  readonly inputScale: number;
}

function fittedScale(scale: number, { largest, bias, inputScale }: Channel): number {
  if (largest === 0) return scaleForBias(bias, inputScale);
  const smallest = Math.fround(Math.abs(bias) / (LARGEST_BIAS * inputScale));
  if (scale < smallest) return smallest;
  // Weights of few bits: larger integers in finer steps are the same weights, but a finer bias.
  let finer = scale;
  for (let size = largest; 2 * size <= LARGEST_GROWN && finer / 2 >= smallest; size *= 2)
    finer /= 2;
  return finer;
}
