import type { NodeProto } from '../../../model/onnx/generated/messages.ts';
import { intAttribute, intsAttribute, stringAttribute } from '../../../model/onnx/graph.ts';
import { tensorNumbers } from '../../../model/onnx/tensor.ts';
import { concat, expand, lift, reshape, select, transpose, unify, varies } from './layout.ts';
import type { Layout } from './layout.ts';
import type { Rule } from './rules.ts';
import type { Tracer } from './trace.ts';

/** Ops that move elements, or combine elements of the same channel. */

/** Rules for the first input alone; inputs without a layout are nobody's business. */
const first =
  (rule: (layout: Layout, node: NodeProto, tracer: Tracer) => Layout | undefined): Rule =>
  (node, tracer) => {
    const layout = tracer.layout(node.input[0]);
    const found = layout === undefined ? undefined : rule(layout, node, tracer);
    return found === undefined ? undefined : [found];
  };

const numbersOf = (name: string | undefined, tracer: Tracer): number[] | undefined => {
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

/** Reshape, Flatten, Squeeze, Unsqueeze: the elements keep their order. */
const reshaped = first((layout, node, tracer) => {
  const from = tracer.shape(node.input[0]);
  const to = tracer.shape(node.output[0]);
  // With other shapes the same channels might lie elsewhere.
  if (from === undefined || to === undefined || !tracer.fixedShapes) return undefined;
  return reshape(layout, from, to);
});

const axesOf = (node: NodeProto, tracer: Tracer): number[] | undefined =>
  tracer.has(node, 1) ? numbersOf(node.input[1], tracer) : intsAttribute(node, 'axes');

/** Means, sums and extremes along axes on which the factor does not change. */
const reduced = first((layout, node, tracer) => {
  const from = tracer.shape(node.input[0]);
  const rank = layout.dims.length;
  const given = axesOf(node, tracer) ?? layout.dims.map((_, axis) => axis);
  const axes = new Set(given.map((axis) => (axis < 0 ? axis + rank : axis)));
  if (from === undefined || [...axes].some((axis) => varies(layout, axis))) return undefined;
  if ((intAttribute(node, 'keepdims') ?? 1) !== 0) return layout;
  return { dims: layout.dims.filter((_, axis) => !axes.has(axis)), ids: layout.ids };
});

const joined: Rule = (node, tracer) => {
  const layouts = node.input.map((name) => tracer.layout(name));
  const shapes = node.input.map((name) => tracer.shape(name));
  const [model] = layouts.filter((one) => one !== undefined);
  if (model === undefined) return undefined;
  const rank = model.dims.length;
  const given = intAttribute(node, 'axis') ?? 0;
  const axis = given < 0 ? given + rank : given;
  const others = model.dims.some((dim, k) => k !== axis && dim > 1);
  const found = others ? alike(layouts, axis, tracer) : behind(layouts, shapes, axis, tracer);
  return found === undefined ? undefined : [found];
};

/** Joined along another axis than that of the channels, all parts need the same factors. */
function alike(
  layouts: readonly (Layout | undefined)[],
  axis: number,
  { variables }: Tracer,
): Layout | undefined {
  return layouts.reduce((sum, part) => {
    if (sum === undefined || part === undefined || varies(part, axis)) return undefined;
    return unify(sum, part, variables);
  });
}

/** Joined along the channels, each part keeps its own; those without a layout keep the factor 1. */
function behind(
  layouts: readonly (Layout | undefined)[],
  shapes: readonly (readonly number[] | undefined)[],
  axis: number,
  tracer: Tracer,
): Layout | undefined {
  const parts: Layout[] = [];
  for (const [k, shape] of shapes.entries()) {
    const layout = layouts[k];
    if (shape === undefined) return undefined;
    const dims = shape.map((dim, at) => (at === axis ? dim : 1));
    if (layout?.dims.some((dim, at) => at !== axis && dim > 1) === true) return undefined;
    const own = layout ?? { dims: dims.map(() => 1), ids: tracer.variables.fresh(1) };
    if (layout === undefined) tracer.block(own);
    parts.push(expand(own, dims));
  }
  return concat(parts, axis);
}

const split: Rule = (node, tracer) => {
  const layout = tracer.layout(node.input[0]);
  if (layout === undefined) return undefined;
  const given = intAttribute(node, 'axis') ?? 0;
  const axis = given < 0 ? given + layout.dims.length : given;
  if (!varies(layout, axis)) return node.output.map(() => layout);
  const sizes = node.output.map((name) => tracer.shape(name)?.[axis]);
  let start = 0;
  const parts: (Layout | undefined)[] = [];
  for (const size of sizes) {
    if (size === undefined) return undefined;
    const from = start;
    parts.push(
      select(
        layout,
        axis,
        Array.from({ length: size }, (_, i) => from + i),
      ),
    );
    start += size;
  }
  return parts.includes(undefined) ? undefined : parts;
};

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
  ...entries(reduced, 'ReduceMean', 'ReduceSum', 'ReduceMax', 'ReduceMin'),
  ...entries(joined, 'Concat'),
  ...entries(split, 'Split'),
  ...entries(slice, 'Slice'),
  ...entries(gather, 'Gather'),
  ...entries(tiled, 'Expand'),
]);
