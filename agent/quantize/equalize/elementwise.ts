import { along, lift, unify } from './layout.ts';
import type { Layout } from './layout.ts';
import type { Constant, Found, Step, Tracer } from './trace.ts';

/* Operators on one element at a time that are positively homogeneous: f(s x) = s f(x) for s > 0. */

/** The output scales as the first input does. */
export function unary<S extends Step, C extends Constant>(
  { input }: S,
  tracer: Tracer<S, C>,
): Found {
  const layout = tracer.layout(input[0]);
  return layout === undefined ? undefined : [layout];
}

/** The slope is a factor of its own. */
export function prelu<S extends Step, C extends Constant>(step: S, tracer: Tracer<S, C>): Found {
  return tracer.constant(step.input[1]) === undefined ? undefined : unary(step, tracer);
}

/** Add, Sub, Max, ...: all that is summed must be scaled alike, constants too. */
export function sum<S extends Step, C extends Constant>(step: S, tracer: Tracer<S, C>): Found {
  const rank = tracer.shape(step.output[0])?.length;
  const scaled = step.input.flatMap((name) => tracer.layout(name) ?? []);
  const constants = step.input.flatMap((name, position) => {
    const tensor = tracer.layout(name) === undefined ? tracer.weights(name) : undefined;
    return tensor === undefined ? [] : [{ position, tensor }];
  });
  const [first, ...others] = scaled;
  if (rank === undefined || first === undefined) return undefined;
  if (scaled.length + constants.length !== step.input.length) return undefined;
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
    if (own !== undefined) tracer.scale({ step, position, layout: own, power: -1 });
  }
  return [layout];
}

/** The layout of a constant that is added to a tensor; undefined where it has fewer values. */
function over({ dims }: Constant, { dims: wide, ids }: Layout): Layout | undefined {
  const own = lift({ dims, ids }, wide.length).dims;
  if (!wide.every((dim, axis) => dim === 1 || dim === own[axis])) return undefined;
  const cut = wide.slice(wide.length - dims.length);
  // What is cut off are axes that the constant does not have, along which nothing changes.
  return { dims: cut, ids };
}

/** A product scales as one of its factors does, as long as the other one stays as it is. */
export function mul<S extends Step, C extends Constant>(step: S, tracer: Tracer<S, C>): Found {
  const layouts = step.input.map((name) => tracer.layout(name));
  const rank = tracer.shape(step.output[0])?.length;
  if (rank === undefined) return undefined;
  const free = layouts.findIndex((one) => one !== undefined && !tracer.isBlocked(one));
  if (free < 0) return constantFactor(step, tracer, rank);
  const [layout, other] = [layouts[free], layouts[1 - free]];
  tracer.block(other);
  return layout === undefined ? undefined : [lift(layout, rank)];
}

/** A constant per channel, as of a normalization's weights: 1/s can be folded into it. */
function constantFactor<S extends Step, C extends Constant>(
  step: S,
  tracer: Tracer<S, C>,
  rank: number,
): Found {
  const position = step.input.findIndex((name) => tracer.weights(name) !== undefined);
  const tensor = tracer.weights(step.input[position]);
  const wide = tensor?.dims.flatMap((dim, axis) => (dim > 1 ? [axis] : [])) ?? [];
  const [axis] = wide;
  if (tensor === undefined || axis === undefined || wide.length > 1) return undefined;
  const at = rank - tensor.dims.length + axis;
  if (tracer.shape(step.output[0])?.[at] !== tensor.dims[axis]) return undefined;
  step.input.forEach((name) => tracer.block(tracer.layout(name)));
  const ids = tracer.variables.fresh(tensor.dims[axis] ?? 0);
  const layout = along(tensor.dims.length, axis, ids);
  tracer.scale({ step, position, layout, power: -1 });
  return [along(rank, at, ids)];
}

/** Only what is divided scales along. */
export function div<S extends Step, C extends Constant>(step: S, tracer: Tracer<S, C>): Found {
  const rank = tracer.shape(step.output[0])?.length;
  const layout = tracer.layout(step.input[0]);
  tracer.block(tracer.layout(step.input[1]));
  return layout === undefined || rank === undefined ? undefined : [lift(layout, rank)];
}

/** Reads the shape, not the values. */
export function shapeOnly({ output }: Step): Found {
  return output.map(() => undefined);
}
