import type { NodeProto, TensorProto } from '../../../model/onnx/generated/messages.ts';
import { intAttribute } from '../../../model/onnx/graph.ts';
import { floatData } from '../../../model/onnx/tensor.ts';
import { along, lift, varies } from '../../equalize/layout.ts';
import type { Layout } from '../../equalize/layout.ts';
import { BLOCKED, begin, convWeights, isAlong } from '../../equalize/products.ts';
import type { Found, Product } from '../../equalize/trace.ts';
import type { Rule } from './rules.ts';
import type { OnnxTracer } from './trace.ts';

/** Ops with weights: they end the factors of their input and begin those of their output. */

const conv: Rule = (node, tracer) => {
  const weight = tracer.weights(node.input[1]);
  const input = tracer.layout(node.input[0]);
  if (weight === undefined) return undefined;
  const groups = intAttribute(node, 'group') ?? 1;
  const [outputs = 0, perGroup = 0] = weight.dims;
  if (input !== undefined) {
    if (!isAlong(input, 1, perGroup * groups)) return undefined;
    const layout = convWeights(input.ids, weight.dims, groups);
    read(node, tracer, { weight, input, layout, outputAxis: 0 });
  }
  if (outputs === 0) return BLOCKED;
  return begin(node, tracer, { weight, axis: 0, rank: weight.dims.length, at: 1 });
};

const convTranspose: Rule = (node, tracer) => {
  const weight = tracer.weights(node.input[1]);
  if (weight === undefined || (intAttribute(node, 'group') ?? 1) !== 1) return undefined;
  const input = tracer.layout(node.input[0]);
  const [inputs = 0] = weight.dims;
  const rank = weight.dims.length;
  if (input !== undefined) {
    if (!isAlong(input, 1, inputs)) return undefined;
    const layout = along(rank, 0, input.ids);
    read(node, tracer, { weight, input, layout, outputAxis: 1 });
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
    read(node, tracer, { weight, input, layout: along(2, axis, input.ids), outputAxis: 1 - axis });
  }
  return begin(node, tracer, { weight, axis: 1 - axis, rank: 2, at: 1 });
};

/** The weights, second among the inputs, scale against the input that they meet. */
function read(
  node: NodeProto,
  tracer: OnnxTracer,
  how: { weight: TensorProto; input: Layout; layout: Layout; outputAxis: number },
): void {
  const { weight, input, layout, outputAxis } = how;
  tracer.scale({ step: node, position: 1, layout, power: 1 });
  const product: Product = {
    input: node.input[0] ?? '',
    output: node.output[0] ?? '',
    layout: input,
    weights: layout,
    outputAxis,
    values: () => ({ dims: weight.dims, values: floatData(weight) }),
  };
  tracer.products.push(product);
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
    read(node, tracer, { weight, input: left, layout: along(2, 0, left.ids), outputAxis: 1 });
  }
  return begin(node, tracer, { weight, axis: 1, rank, at: rank - 1 });
};

/** A product of two activations, e.g. of attention weights and values. */
function between(node: NodeProto, tracer: OnnxTracer, rank: number): Found {
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
