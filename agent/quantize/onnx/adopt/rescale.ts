import { applyEdit, editRepeatedly, isEmptyEdit, newEdit } from '../../../model/onnx/edit.ts';
import type { GraphProto, NodeProto } from '../../../model/onnx/generated/messages.ts';
import { indexGraph, onlyReader, opName } from '../../../model/onnx/graph.ts';
import type { GraphIndex } from '../../../model/onnx/graph.ts';
import { DataType, floatData, floatTensor } from '../../../model/onnx/tensor.ts';
import { affineOf } from '../prepare/fold-affine.ts';
import type { Affine } from '../prepare/fold-affine.ts';
import { INTEGER_RANGE, channelOf, dequantizeConstant, storedBehind } from './params.ts';
import type { StoredIntegers } from './params.ts';
import { LinearWriter } from './writer.ts';

/**
 * Folds y = a[c] * x + b[c] behind a convolution with integer weights into the scales of the weights
 * and into the bias. The integers stay what training made them: only a negative factor turns their
 * sign. This undoes the form in which PyTorch trains a convolution with its BatchNormalization
 * (Jacob et al. 2018, 3.2): weights times gamma / sigma, then quantized, the output divided by it.
 */
export function foldRescaling(graph: GraphProto): GraphProto {
  // A chain (Div, BatchNormalization) folds one link a round.
  return editRepeatedly(graph, foldOnce);
}

function foldOnce(graph: GraphProto): GraphProto {
  const index = indexGraph(graph);
  const writer = new LinearWriter(graph);
  const edit = newEdit();
  for (const conv of graph.node) {
    if (opName(conv) !== 'Conv' || edit.replace.has(conv)) continue;
    const [x = '', w = ''] = conv.input;
    const weights = storedBehind(w, index);
    const bias = biasValues(conv, index);
    const follower = onlyReader(conv, index);
    if (weights === undefined || bias === undefined || follower === undefined) continue;
    const { dims } = weights;
    const channels = dims[0] ?? 0;
    const affine = affineOf(follower, conv.output[0] ?? '', channels, dims.length, index);
    const scaled = affine === undefined ? undefined : rescaled(weights, affine);
    if (affine === undefined || scaled === undefined) continue;
    const weightName = writer.unique(`${w}_rescaled`);
    const biasName = writer.unique(`${w}_bias`);
    writer.initializers.push(floatTensor(biasName, shifted(bias, channels, affine)));
    const folded = {
      ...conv,
      input: [x, weightName, biasName],
      output: [follower.output[0] ?? ''],
    };
    edit.replace.set(conv, [writer.stored(w, weightName, scaled), folded]);
    edit.replace.set(follower, []);
  }
  if (isEmptyEdit(edit)) return graph;
  for (const tensor of writer.initializers) edit.initializers.set(tensor.name ?? '', tensor);
  return applyEdit(graph, edit);
}

/** Empty without a bias; undefined where it is no constant. */
function biasValues(conv: NodeProto, index: GraphIndex): Float32Array | undefined {
  const name = conv.input[2] ?? '';
  if (name === '') return new Float32Array(0);
  const stored = storedBehind(name, index);
  if (stored !== undefined) return dequantizeConstant(stored);
  const tensor = index.initializers.get(name);
  return tensor?.dataType === DataType.FLOAT ? floatData(tensor) : undefined;
}

const at = (values: ArrayLike<number>, channel: number) =>
  values[values.length === 1 ? 0 : channel] ?? 0;

/** One scale per output channel; undefined where an integer has no opposite in its type. */
function rescaled(
  { dims, values, params }: StoredIntegers,
  { factor }: Affine,
): StoredIntegers | undefined {
  if (params.axis !== undefined && params.axis !== 0 && params.axis !== -dims.length) {
    return undefined;
  }
  const [min, max] = INTEGER_RANGE.get(params.dataType) ?? [0, 0];
  const channels = dims[0] ?? 0;
  const channel = channelOf(dims, 0);
  const zeroPoints = Array.from({ length: channels }, (_, c) => at(params.zeroPoints, c));
  const products = zeroPoints.map((_, c) => Math.fround(at(params.scales, c) * at(factor, c)));
  if (!products.every(Number.isFinite)) return undefined;
  const isDead = products.map((product) => Math.abs(product) < SMALLEST_SCALE);
  const turned = Int32Array.from(values, (q, i) => {
    const c = channel(i);
    const zero = zeroPoints[c] ?? 0;
    if (isDead[c] === true) return zero;
    return (products[c] ?? 0) < 0 ? 2 * zero - q : q;
  });
  if (turned.some((q) => q < min || q > max)) return undefined;
  const scales = Float32Array.from(products, (product, c) =>
    isDead[c] === true ? 1 : Math.abs(product),
  );
  return { dims, values: turned, params: { ...params, scales, zeroPoints, axis: 0 } };
}

/** Below this a float32 is subnormal and its reciprocal infinite: such a channel adds nothing. */
const SMALLEST_SCALE = 2 ** -126;

function shifted(bias: Float32Array, channels: number, { factor, summand }: Affine): Float32Array {
  return Float32Array.from({ length: channels }, (_, c) => {
    return at(bias, c) * at(factor, c) + at(summand, c);
  });
}
