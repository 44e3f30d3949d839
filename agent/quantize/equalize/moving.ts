import { concat, expand, reshape, select, unify, varies } from './layout.ts';
import type { Layout } from './layout.ts';
import type { Constant, Found, Step, Tracer } from './trace.ts';

/* Operators that move elements, or combine elements of the same channel. */

/** The elements keep their order. */
export function reshaped<S extends Step, C extends Constant>(
  { input, output }: S,
  tracer: Tracer<S, C>,
): Found {
  const layout = tracer.layout(input[0]);
  const [from, to] = [tracer.shape(input[0]), tracer.shape(output[0])];
  // With other shapes the same channels might lie elsewhere.
  if (layout === undefined || from === undefined || to === undefined) return undefined;
  const found = tracer.fixedShapes ? reshape(layout, from, to) : undefined;
  return found === undefined ? undefined : [found];
}

/** Means, sums and extremes along axes on which the factor does not change. */
export function reduced(
  layout: Layout,
  axes: readonly number[],
  keepDims: boolean,
): Layout | undefined {
  const rank = layout.dims.length;
  const gone = new Set(axes.map((axis) => (axis < 0 ? axis + rank : axis)));
  if ([...gone].some((axis) => varies(layout, axis))) return undefined;
  if (keepDims) return layout;
  return { dims: layout.dims.filter((_, axis) => !gone.has(axis)), ids: layout.ids };
}

/** Joined along an axis, which may be counted from the end. */
export function joined<S extends Step, C extends Constant>(
  { input }: S,
  tracer: Tracer<S, C>,
  given: number,
): Found {
  const layouts = input.map((name) => tracer.layout(name));
  const shapes = input.map((name) => tracer.shape(name));
  const [model] = layouts.filter((one) => one !== undefined);
  if (model === undefined) return undefined;
  const axis = given < 0 ? given + model.dims.length : given;
  const others = model.dims.some((dim, k) => k !== axis && dim > 1);
  const found = others ? alike(layouts, axis, tracer) : behind(layouts, shapes, axis, tracer);
  return found === undefined ? undefined : [found];
}

/** Joined along another axis than that of the channels, all parts need the same factors. */
function alike(
  layouts: readonly (Layout | undefined)[],
  axis: number,
  { variables }: Pick<Tracer, 'variables'>,
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
  tracer: Pick<Tracer, 'variables' | 'block'>,
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

/** A tensor's parts along an axis, which may be counted from the end. */
export function split<S extends Step, C extends Constant>(
  { output }: S,
  tracer: Tracer<S, C>,
  layout: Layout | undefined,
  given: number,
): Found {
  if (layout === undefined) return undefined;
  const axis = given < 0 ? given + layout.dims.length : given;
  if (!varies(layout, axis)) return output.map(() => layout);
  const sizes = output.map((name) => tracer.shape(name)?.[axis]);
  let start = 0;
  const parts: (Layout | undefined)[] = [];
  for (const size of sizes) {
    if (size === undefined) return undefined;
    const from = start;
    const own = Array.from({ length: size }, (_, i) => from + i);
    parts.push(select(layout, axis, own));
    start += size;
  }
  return parts.includes(undefined) ? undefined : parts;
}
