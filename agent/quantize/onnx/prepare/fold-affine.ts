import type { GraphProto, NodeProto, TensorProto } from '../../../model/onnx/generated/messages.ts';
import { applyEdit, editRepeatedly, isEmptyEdit, newEdit } from '../../../model/onnx/edit.ts';
import {
  floatAttribute,
  indexGraph,
  intAttribute,
  nameMaker,
  onlyReader,
  opName,
} from '../../../model/onnx/graph.ts';
import type { GraphIndex } from '../../../model/onnx/graph.ts';
import { DataType, floatData, makeTensor } from '../../../model/onnx/tensor.ts';

/**
 * Folds y = a[c] * x + b[c] behind a convolution into its weights and bias: BatchNormalization
 * (Krishnamoorthi 2018, 3.2.2) and arithmetic with a constant per channel.
 */

/** One factor and one summand per channel; both have one entry where all channels share it. */
export interface Affine {
  readonly factor: Float64Array;
  readonly summand: Float64Array;
}

/** Where the output channels stand in the weights of each op that takes part. */
const WEIGHT_AXIS: Readonly<Record<string, (node: NodeProto) => number>> = {
  Conv: () => 0,
  ConvTranspose: () => 1,
};

export function foldAffine(graph: GraphProto): GraphProto {
  // A chain (Conv, Mul, Add, BatchNormalization) folds one link a round.
  return editRepeatedly(graph, foldOnce);
}

function foldOnce(graph: GraphProto): GraphProto {
  const index = indexGraph(graph);
  const unique = nameMaker(graph);
  const edit = newEdit();
  for (const conv of graph.node) {
    const axis = WEIGHT_AXIS[opName(conv)]?.(conv);
    if (axis === undefined || (axis === 1 && (intAttribute(conv, 'group') ?? 1) !== 1)) continue;
    const follower = onlyReader(conv, index);
    if (follower === undefined || edit.replace.has(conv) || edit.replace.has(follower)) continue;
    const weight = floatInitializer(conv.input[1], index);
    const bias = floatInitializer(conv.input[2], index);
    if (weight === undefined || ((conv.input[2] ?? '') !== '' && bias === undefined)) continue;
    const channels = weight.dims[axis] ?? 0;
    const affine = affineOf(follower, conv.output[0] ?? '', channels, weight.dims.length, index);
    if (affine === undefined) continue;
    const folded = foldInto(weight, bias, axis, affine, unique);
    edit.initializers.set(folded.weight.name ?? '', folded.weight);
    edit.initializers.set(folded.bias.name ?? '', folded.bias);
    const input = [conv.input[0] ?? '', folded.weight.name ?? '', folded.bias.name ?? ''];
    edit.replace.set(conv, [{ ...conv, input, output: [follower.output[0] ?? ''] }]);
    edit.replace.set(follower, []);
  }
  return isEmptyEdit(edit) ? graph : applyEdit(graph, edit);
}

function floatInitializer(name: string | undefined, index: GraphIndex): TensorProto | undefined {
  const tensor = index.initializers.get(name ?? '');
  return tensor?.dataType === DataType.FLOAT ? tensor : undefined;
}

export function affineOf(
  node: NodeProto,
  x: string,
  channels: number,
  rank: number,
  index: GraphIndex,
): Affine | undefined {
  const op = opName(node);
  if (op === 'BatchNormalization') return batchNormAffine(node, x, index);
  if (!['Mul', 'Add', 'Sub', 'Div'].includes(op)) return undefined;
  const position = node.input[0] === x ? 1 : 0;
  if (node.input[1 - position] !== x || ((op === 'Sub' || op === 'Div') && position === 0)) {
    return undefined;
  }
  const tensor = floatInitializer(node.input[position], index);
  if (tensor === undefined || !isPerChannel(tensor.dims, channels, rank)) return undefined;
  const values = Float64Array.from(floatData(tensor));
  const ones = new Float64Array(values.length).fill(1);
  const zeros = new Float64Array(values.length);
  if (op === 'Mul') return { factor: values, summand: zeros };
  if (op === 'Div') {
    return values.includes(0) ? undefined : { factor: values.map((v) => 1 / v), summand: zeros };
  }
  return { factor: ones, summand: op === 'Add' ? values : values.map((v) => -v) };
}

/** One value for all, or one per channel at axis 1 of `rank` axes. */
function isPerChannel(dims: readonly number[], channels: number, rank: number): boolean {
  if (dims.length > rank) return false;
  const padded = [...Array<number>(rank - dims.length).fill(1), ...dims];
  return padded.every((dim, axis) => dim === 1 || (axis === 1 && dim === channels));
}

function batchNormAffine(node: NodeProto, x: string, index: GraphIndex): Affine | undefined {
  if (node.input[0] !== x || (intAttribute(node, 'training_mode') ?? 0) !== 0) return undefined;
  const tensors = node.input.slice(1, 5).map((name) => floatInitializer(name, index));
  const [scale, shift, mean, variance] = tensors.map((t) =>
    t === undefined ? undefined : floatData(t),
  );
  if (!scale || !shift || !mean || !variance) return undefined;
  const epsilon = floatAttribute(node, 'epsilon') ?? 1e-5;
  const factor = Float64Array.from(scale, (g, c) => g / Math.sqrt((variance[c] ?? 0) + epsilon));
  const summand = Float64Array.from(shift, (b, c) => b - (mean[c] ?? 0) * (factor[c] ?? 0));
  return { factor, summand };
}

/** One value for all channels, or one each. */
function at(values: Float64Array, channel: number): number {
  return values[values.length === 1 ? 0 : channel] ?? 0;
}

function foldInto(
  weight: TensorProto,
  bias: TensorProto | undefined,
  axis: number,
  affine: Affine,
  unique: (wish: string) => string,
): { weight: TensorProto; bias: TensorProto } {
  const channels = weight.dims[axis] ?? 0;
  const inner = weight.dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  const scaled = Float32Array.from(
    floatData(weight),
    (w, i) => w * at(affine.factor, Math.floor(i / inner) % channels),
  );
  const old = bias === undefined ? new Float32Array(channels) : floatData(bias);
  const shifted = Float32Array.from(
    old,
    (b, c) => b * at(affine.factor, c) + at(affine.summand, c),
  );
  const name = weight.name ?? 'weight';
  return {
    weight: makeTensor(unique(`${name}_folded`), DataType.FLOAT, weight.dims, scaled),
    bias: makeTensor(unique(`${name}_folded_bias`), DataType.FLOAT, [channels], shifted),
  };
}
