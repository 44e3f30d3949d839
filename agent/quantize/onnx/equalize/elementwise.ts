import type { NodeProto } from '../../../model/onnx/generated/messages.ts';
import { tensorNumbers } from '../../../model/onnx/tensor.ts';
import { div, mul, prelu, shapeOnly, sum, unary } from '../../equalize/elementwise.ts';
import type { Rule } from './rules.ts';
import type { OnnxTracer } from './trace.ts';

/** Ops on one element at a time that are positively homogeneous: f(s x) = s f(x) for s > 0. */

/** Like Relu where its bounds are zero or absent: any other bound would have to move along. */
const clip: Rule = (node, tracer) => {
  const bounds = [1, 2].map((position) => boundOf(node, position, tracer));
  return bounds.every((bound) => bound === 'scales') ? unary(node, tracer) : undefined;
};

/** From this on a bound is no bound: exporters write the largest float for infinity. */
const NO_BOUND = 3.4e38;

function boundOf(node: NodeProto, position: number, tracer: OnnxTracer): 'scales' | 'fixed' {
  if (node.attribute.length > 0) return 'fixed';
  if (!tracer.has(node, position)) return 'scales';
  const tensor = tracer.weights(node.input[position]);
  const [value] = tensor === undefined ? [] : tensorNumbers(tensor);
  return value === 0 || Math.abs(value ?? 1) >= NO_BOUND ? 'scales' : 'fixed';
}

const UNARY = ['Relu', 'LeakyRelu', 'Abs', 'Neg', 'Identity'];

export const ELEMENTWISE_RULES: ReadonlyMap<string, Rule> = new Map([
  ...UNARY.map((op): [string, Rule] => [op, unary]),
  ['PRelu', prelu],
  ['Clip', clip],
  ...['Add', 'Sub', 'Sum', 'Max', 'Min'].map((op): [string, Rule] => [op, sum]),
  ['Mul', mul],
  ['Div', div],
  ['Shape', shapeOnly],
  ['Size', shapeOnly],
]);
