import type { NodeProto, TensorProto } from '../../../model/onnx/generated/messages.ts';
import { intAttribute } from '../../../model/onnx/graph.ts';
import { along, lift, varies } from './layout.ts';
import type { Layout } from './layout.ts';
import type { Rule } from './rules.ts';
import type { Tracer } from './trace.ts';

/** Ops with weights: they end the factors of their input and begin those of their output. */

type Found = readonly (Layout | undefined)[] | undefined;

const BLOCKED: Found = [undefined];

/** New variables for the outputs of weights along `axis`, which a bias, if any, must share. */
function begin(
  node: NodeProto,
  tracer: Tracer,
  { weight, axis, rank, at }: { weight: TensorProto; axis: number; rank: number; at: number },
): Found {
  const count = weight.dims[axis] ?? 0;
  const bias = tracer.weights(node.input[2]);
  if (tracer.has(node, 2) && (bias?.dims.at(-1) !== count || !isRow(bias))) return BLOCKED;
  const ids = tracer.variables.fresh(count);
  tracer.scale({ node, position: 1, layout: along(weight.dims.length, axis, ids), power: -1 });
  if (bias !== undefined) {
    const layout = along(bias.dims.length, bias.dims.length - 1, ids);
    tracer.scale({ node, position: 2, layout, power: -1 });
  }
  return [along(rank, at, ids)];
}

const isRow = ({ dims }: TensorProto) => dims.slice(0, -1).every((dim) => dim === 1);

/** Whether a layout has `count` channels on one axis and is constant along the others. */
function isAlong({ dims }: Layout, axis: number, count: number): boolean {
  return dims.every((dim, k) => dim === (k === axis ? count : 1));
}

const conv: Rule = (node, tracer) => {
  const weight = tracer.weights(node.input[1]);
  const input = tracer.layout(node.input[0]);
  if (weight === undefined) return undefined;
  const groups = intAttribute(node, 'group') ?? 1;
  const [outputs = 0, perGroup = 0] = weight.dims;
  if (input !== undefined) {
    if (!isAlong(input, 1, perGroup * groups)) return undefined;
    const layout = convWeights(input.ids, weight.dims, groups);
    tracer.scale({ node, position: 1, layout, power: 1 });
    const [name = ''] = node.input;
    tracer.products.push({ node, input: name, layout: input, weights: layout, outputAxis: 0 });
  }
  if (outputs === 0) return BLOCKED;
  return begin(node, tracer, { weight, axis: 0, rank: weight.dims.length, at: 1 });
};

/** The variable of each weight [output, input of its group, ...]. */
function convWeights(ids: Int32Array, dims: readonly number[], groups: number): Layout {
  const rank = dims.length;
  if (groups === 1) return along(rank, 1, ids);
  const [outputs = 0, perGroup = 0] = dims;
  const each = Int32Array.from({ length: outputs * perGroup }, (_, i) => {
    const group = Math.floor((Math.floor(i / perGroup) * groups) / outputs);
    return ids[group * perGroup + (i % perGroup)] ?? 0;
  });
  return { dims: [outputs, perGroup, ...Array<number>(rank - 2).fill(1)], ids: each };
}

const convTranspose: Rule = (node, tracer) => {
  const weight = tracer.weights(node.input[1]);
  if (weight === undefined || (intAttribute(node, 'group') ?? 1) !== 1) return undefined;
  const input = tracer.layout(node.input[0]);
  const [inputs = 0] = weight.dims;
  const rank = weight.dims.length;
  if (input !== undefined) {
    if (!isAlong(input, 1, inputs)) return undefined;
    const layout = along(rank, 0, input.ids);
    tracer.scale({ node, position: 1, layout, power: 1 });
    const [name = ''] = node.input;
    tracer.products.push({ node, input: name, layout: input, weights: layout, outputAxis: 1 });
  }
  return begin(node, tracer, { weight, axis: 1, rank, at: 1 });
};

const gemm: Rule = (node, tracer) => {
  const weight = tracer.weights(node.input[1]);
  if (weight === undefined || (intAttribute(node, 'transA') ?? 0) !== 0) return undefined;
  const transposed = (intAttribute(node, 'transB') ?? 0) !== 0;
  const axis = transposed ? 1 : 0;
  const input = tracer.layout(node.input[0]);
  if (input !== undefined) {
    if (!isAlong(input, 1, weight.dims[axis] ?? 0)) return undefined;
    read(node, tracer, input, along(2, axis, input.ids), 1 - axis);
  }
  return begin(node, tracer, { weight, axis: 1 - axis, rank: 2, at: 1 });
};

function read(node: NodeProto, tracer: Tracer, input: Layout, layout: Layout, outputAxis: number) {
  tracer.scale({ node, position: 1, layout, power: 1 });
  const [name = ''] = node.input;
  tracer.products.push({ node, input: name, layout: input, weights: layout, outputAxis });
}

const matMul: Rule = (node, tracer) => {
  const [a, b] = node.input;
  const [left, right] = [tracer.layout(a), tracer.layout(b)];
  const rank = tracer.shape(node.output[0])?.length;
  const weight = tracer.weights(b);
  if (rank === undefined) return undefined;
  if (weight === undefined || weight.dims.length !== 2) return between(node, tracer, rank);
  if (right !== undefined) return undefined;
  const count = weight.dims[0] ?? 0;
  if (left !== undefined) {
    const last = left.dims.length - 1;
    // Factors that do not change along the sum pass through it.
    if (!varies(left, last) && count > 1) return [lift(left, rank)];
    if (!isAlong(left, last, count)) return undefined;
    read(node, tracer, left, along(2, 0, left.ids), 1);
  }
  return begin(node, tracer, { weight, axis: 1, rank, at: rank - 1 });
};

/** A product of two activations, e.g. of attention weights and values. */
function between(node: NodeProto, tracer: Tracer, rank: number): Found {
  const [left, right] = [tracer.layout(node.input[0]), tracer.layout(node.input[1])];
  if (left !== undefined && right !== undefined) return undefined;
  if (left !== undefined)
    return varies(left, left.dims.length - 1) ? undefined : [lift(left, rank)];
  if (right === undefined || right.dims.length < 2) return undefined;
  return varies(right, right.dims.length - 2) ? undefined : [lift(right, rank)];
}

const layerNormalization: Rule = (node, tracer) => {
  tracer.block(tracer.layout(node.input[0]));
  const rank = tracer.shape(node.input[0])?.length;
  const weight = tracer.weights(node.input[1]);
  if (rank === undefined || weight?.dims.length !== 1) return undefined;
  // Mean and deviation are of the unscaled input: nobody may read them scaled, and nobody does.
  return begin(node, tracer, { weight, axis: 0, rank, at: rank - 1 });
};

export const PRODUCT_RULES: ReadonlyMap<string, Rule> = new Map([
  ['Conv', conv],
  ['ConvTranspose', convTranspose],
  ['Gemm', gemm],
  ['MatMul', matMul],
  ['LayerNormalization', layerNormalization],
]);
