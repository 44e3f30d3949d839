import type { NodeProto, TensorProto } from '../../../model/onnx/generated/messages.ts';
import { tensorNumbers } from '../../../model/onnx/tensor.ts';
import { along, lift, unify } from './layout.ts';
import type { Layout } from './layout.ts';
import type { Rule } from './rules.ts';
import type { Tracer } from './trace.ts';

/** Ops on one element at a time that are positively homogeneous: f(s x) = s f(x) for s > 0. */

const unary: Rule = (node, tracer) => {
  const layout = tracer.layout(node.input[0]);
  return layout === undefined ? undefined : [layout];
};

/** The slope is a factor of its own. */
const pRelu: Rule = (node, tracer) =>
  tracer.constant(node.input[1]) === undefined ? undefined : unary(node, tracer);

/** Like Relu where its bounds are zero or absent: any other bound would have to move along. */
const clip: Rule = (node, tracer) => {
  const bounds = [1, 2].map((position) => boundOf(node, position, tracer));
  return bounds.every((bound) => bound === 'scales') ? unary(node, tracer) : undefined;
};

/** From this on a bound is no bound: exporters write the largest float for infinity. */
const NO_BOUND = 3.4e38;

function boundOf(node: NodeProto, position: number, tracer: Tracer): 'scales' | 'fixed' {
  if (node.attribute.length > 0) return 'fixed';
  if (!tracer.has(node, position)) return 'scales';
  const tensor = tracer.weights(node.input[position]);
  const [value] = tensor === undefined ? [] : tensorNumbers(tensor);
  return value === 0 || Math.abs(value ?? 1) >= NO_BOUND ? 'scales' : 'fixed';
}

/** Add, Sub, Max, ...: all that is summed must be scaled alike, constants too. */
const sum: Rule = (node, tracer) => {
  const rank = tracer.shape(node.output[0])?.length;
  const scaled = node.input.flatMap((name) => tracer.layout(name) ?? []);
  const constants = node.input.flatMap((name, position) => {
    const tensor = tracer.layout(name) === undefined ? tracer.weights(name) : undefined;
    return tensor === undefined ? [] : [{ position, tensor }];
  });
  const [first, ...others] = scaled;
  if (rank === undefined || first === undefined) return undefined;
  if (scaled.length + constants.length !== node.input.length) return undefined;
  let layout: Layout | undefined = lift(first, rank);
  for (const other of others) {
    layout = layout === undefined ? undefined : unify(layout, other, tracer.variables);
  }
  if (layout === undefined) return undefined;
  const slots = constants.map(({ position, tensor }) => ({
    position,
    layout: over(tensor, layout),
  }));
  for (const slot of slots) if (slot.layout === undefined) return undefined;
  for (const { position, layout: own } of slots) {
    if (own !== undefined) tracer.scale({ node, position, layout: own, power: -1 });
  }
  return [layout];
};

/** The layout of a constant that is added to a tensor; undefined where it has fewer values. */
function over({ dims }: TensorProto, { dims: wide, ids }: Layout): Layout | undefined {
  const own = lift({ dims, ids }, wide.length).dims;
  if (!wide.every((dim, axis) => dim === 1 || dim === own[axis])) return undefined;
  const cut = wide.slice(wide.length - dims.length);
  // What is cut off are axes that the constant does not have, along which nothing changes.
  return { dims: cut, ids };
}

/** A product scales as one of its factors does, as long as the other one stays as it is. */
const mul: Rule = (node, tracer) => {
  const layouts = node.input.map((name) => tracer.layout(name));
  const rank = tracer.shape(node.output[0])?.length;
  if (rank === undefined) return undefined;
  const free = layouts.findIndex((one) => one !== undefined && !tracer.isBlocked(one));
  if (free < 0) return constantFactor(node, tracer, rank);
  const [layout, other] = [layouts[free], layouts[1 - free]];
  tracer.block(other);
  return layout === undefined ? undefined : [lift(layout, rank)];
};

/** A constant per channel, as of a normalization's weights: 1/s can be folded into it. */
function constantFactor(node: NodeProto, tracer: Tracer, rank: number) {
  const position = node.input.findIndex((name) => tracer.weights(name) !== undefined);
  const tensor = tracer.weights(node.input[position]);
  const wide = tensor?.dims.flatMap((dim, axis) => (dim > 1 ? [axis] : [])) ?? [];
  const [axis] = wide;
  if (tensor === undefined || axis === undefined || wide.length > 1) return undefined;
  const at = rank - tensor.dims.length + axis;
  if (tracer.shape(node.output[0])?.[at] !== tensor.dims[axis]) return undefined;
  node.input.forEach((name) => tracer.block(tracer.layout(name)));
  const ids = tracer.variables.fresh(tensor.dims[axis] ?? 0);
  const layout = along(tensor.dims.length, axis, ids);
  tracer.scale({ node, position, layout, power: -1 });
  return [along(rank, at, ids)];
}

/** Only what is divided scales along. */
const div: Rule = (node, tracer) => {
  const rank = tracer.shape(node.output[0])?.length;
  const layout = tracer.layout(node.input[0]);
  tracer.block(tracer.layout(node.input[1]));
  return layout === undefined || rank === undefined ? undefined : [lift(layout, rank)];
};

/** Reads the shape, not the values. */
const shapeOnly: Rule = (node) => node.output.map(() => undefined);

const UNARY = ['Relu', 'LeakyRelu', 'Abs', 'Neg', 'Identity'];

export const ELEMENTWISE_RULES: ReadonlyMap<string, Rule> = new Map([
  ...UNARY.map((op): [string, Rule] => [op, unary]),
  ['PRelu', pRelu],
  ['Clip', clip],
  ...['Add', 'Sub', 'Sum', 'Max', 'Min'].map((op): [string, Rule] => [op, sum]),
  ['Mul', mul],
  ['Div', div],
  ['Shape', shapeOnly],
  ['Size', shapeOnly],
]);
