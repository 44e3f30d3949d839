import type { NodeProto } from '../../../model/onnx/generated/messages.ts';
import { intAttribute, intsAttribute, stringAttribute } from '../../../model/onnx/graph.ts';
import { tensorNumbers } from '../../../model/onnx/tensor.ts';
import { lift, select, transpose, varies } from '../../equalize/layout.ts';
import type { Layout } from '../../equalize/layout.ts';
import { joined, reduced, reshaped, split } from '../../equalize/moving.ts';
import type { Rule } from './rules.ts';
import type { OnnxTracer } from './trace.ts';

/** Ops that move elements, or combine elements of the same channel. */

/** Rules for the first input alone; inputs without a layout are nobody's business. */
const first =
  (rule: (layout: Layout, node: NodeProto, tracer: OnnxTracer) => Layout | undefined): Rule =>
  (node, tracer) => {
    const layout = tracer.layout(node.input[0]);
    const found = layout === undefined ? undefined : rule(layout, node, tracer);
    return found === undefined ? undefined : [found];
  };

const numbersOf = (name: string | undefined, tracer: OnnxTracer): number[] | undefined => {
  const tensor = tracer.constant(name);
  return tensor === undefined ? undefined : tensorNumbers(tensor);
};

/** Windows over the spatial axes, along which the factor must not change. */
const spatial = first((layout, node) => {
  // Indices of maxima stay the same, but nobody should have to know.
  if ((node.output[1] ?? '') !== '') return undefined;
  return layout.dims.slice(2).every((dim) => dim === 1) ? layout : undefined;
});

const resize = first((layout, node) => {
  // Cropping fills with a value of its own.
  const mode = stringAttribute(node, 'coordinate_transformation_mode');
  if (mode === 'tf_crop_and_resize') return undefined;
  return layout.dims.slice(2).every((dim) => dim === 1) ? layout : undefined;
});

/** Padding with zeros, or with neighbours. */
const pad = first((layout, node, tracer) => {
  const amounts = numbersOf(node.input[1], tracer);
  const [value = 0] = numbersOf(node.input[2], tracer) ?? (tracer.has(node, 2) ? [1] : [0]);
  const rank = layout.dims.length;
  if (amounts?.length !== rank * 2 || tracer.has(node, 3) || value !== 0) return undefined;
  const moves = layout.dims.some(
    (dim, axis) => dim > 1 && (amounts[axis] !== 0 || amounts[axis + rank] !== 0),
  );
  return moves ? undefined : layout;
});

const transposed = first((layout, node) => {
  const reversed = layout.dims.map((_, axis) => layout.dims.length - 1 - axis);
  return transpose(layout, intsAttribute(node, 'perm') ?? reversed);
});

const axesOf = (node: NodeProto, tracer: OnnxTracer): number[] | undefined =>
  tracer.has(node, 1) ? numbersOf(node.input[1], tracer) : intsAttribute(node, 'axes');

const reduce = first((layout, node, tracer) => {
  const axes = axesOf(node, tracer) ?? layout.dims.map((_, axis) => axis);
  if (tracer.shape(node.input[0]) === undefined) return undefined;
  return reduced(layout, axes, (intAttribute(node, 'keepdims') ?? 1) !== 0);
});

const join: Rule = (node, tracer) => joined(node, tracer, intAttribute(node, 'axis') ?? 0);

const splitUp: Rule = (node, tracer) =>
  split(node, tracer, tracer.layout(node.input[0]), intAttribute(node, 'axis') ?? 0);

const slice = first((layout, node, tracer) => {
  const rank = layout.dims.length;
  const [starts, ends] = [numbersOf(node.input[1], tracer), numbersOf(node.input[2], tracer)];
  const axes = tracer.has(node, 3) ? numbersOf(node.input[3], tracer) : starts?.map((_, k) => k);
  const steps = tracer.has(node, 4) ? numbersOf(node.input[4], tracer) : starts?.map(() => 1);
  if (!starts || !ends || !axes || !steps) return undefined;
  let sliced: Layout | undefined = layout;
  for (const [k, given] of axes.entries()) {
    const axis = given < 0 ? given + rank : given;
    if (sliced === undefined || !varies(sliced, axis)) continue;
    const [start, end, step] = [starts[k] ?? 0, ends[k] ?? 0, steps[k] ?? 1];
    sliced =
      step > 0 ? select(sliced, axis, range(start, end, step, sliced.dims[axis] ?? 1)) : undefined;
  }
  return sliced;
});

function range(start: number, end: number, step: number, length: number): number[] {
  const bound = (value: number) =>
    Math.min(Math.max(value < 0 ? value + length : value, 0), length);
  const entries: number[] = [];
  for (let at = bound(start); at < bound(end); at += step) entries.push(at);
  return entries;
}

const gather = first((layout, node, tracer) => {
  const indices = tracer.constant(node.input[1]);
  const given = intAttribute(node, 'axis') ?? 0;
  const axis = given < 0 ? given + layout.dims.length : given;
  if (indices === undefined || indices.dims.length > 1) return undefined;
  const length = layout.dims[axis] ?? 1;
  const entries = tensorNumbers(indices).map((at) => (at < 0 ? at + length : at));
  const taken = varies(layout, axis) ? select(layout, axis, entries) : layout;
  if (taken === undefined || indices.dims.length === 1) return taken;
  return { dims: taken.dims.filter((_, k) => k !== axis), ids: taken.ids };
});

const tiled = first((layout, node, tracer) => {
  const shape = tracer.shape(node.output[0]);
  if (shape === undefined) return undefined;
  const wide = lift(layout, shape.length);
  return wide.dims.every((dim, axis) => dim === 1 || dim === shape[axis]) ? wide : undefined;
});

const entries = (rule: Rule, ...ops: readonly string[]) =>
  ops.map((op): readonly [string, Rule] => [op, rule]);

export const MOVING_RULES: ReadonlyMap<string, Rule> = new Map([
  ...entries(spatial, 'MaxPool', 'AveragePool', 'GlobalAveragePool', 'GlobalMaxPool'),
  ...entries(resize, 'Resize'),
  ...entries(pad, 'Pad'),
  ...entries(transposed, 'Transpose'),
  ...entries(reshaped, 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'),
  ...entries(reduce, 'ReduceMean', 'ReduceSum', 'ReduceMax', 'ReduceMin'),
  ...entries(join, 'Concat'),
  ...entries(splitUp, 'Split'),
  ...entries(slice, 'Slice'),
  ...entries(gather, 'Gather'),
  ...entries(tiled, 'Expand'),
]);
