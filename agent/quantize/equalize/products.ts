import { along } from './layout.ts';
import type { Layout } from './layout.ts';
import type { Constant, Found, Step, Tracer } from './trace.ts';

/* Products with weights: they end the factors of their input and begin those of their output. */

export const BLOCKED: Found = [undefined];

export interface Beginning<C extends Constant> {
  readonly weight: C;
  /** Of the weights, along which their outputs lie. */
  readonly axis: number;
  /** Axes of the output, and which of them has its channels. */
  readonly rank: number;
  readonly at: number;
}

/** New variables for the outputs of weights along `axis`, which a bias, if any, must share. */
export function begin<S extends Step, C extends Constant>(
  step: S,
  tracer: Tracer<S, C>,
  { weight, axis, rank, at }: Beginning<C>,
): Found {
  const count = weight.dims[axis] ?? 0;
  const bias = tracer.weights(step.input[2]);
  if (tracer.has(step, 2) && (bias?.dims.at(-1) !== count || !isRow(bias))) return BLOCKED;
  const ids = tracer.variables.fresh(count);
  tracer.scale({ step, position: 1, layout: along(weight.dims.length, axis, ids), power: -1 });
  if (bias !== undefined) {
    const layout = along(bias.dims.length, bias.dims.length - 1, ids);
    tracer.scale({ step, position: 2, layout, power: -1 });
  }
  return [along(rank, at, ids)];
}

const isRow = ({ dims }: Constant) => dims.slice(0, -1).every((dim) => dim === 1);

/** Whether a layout has `count` channels on one axis and is constant along the others. */
export function isAlong({ dims }: Layout, axis: number, count: number): boolean {
  return dims.every((dim, k) => dim === (k === axis ? count : 1));
}

/** The variable of each weight [output, input of its group, ...] of a convolution in groups. */
export function convWeights(ids: Int32Array, dims: readonly number[], groups: number): Layout {
  const rank = dims.length;
  if (groups === 1) return along(rank, 1, ids);
  const [outputs = 0, perGroup = 0] = dims;
  const each = Int32Array.from({ length: outputs * perGroup }, (_, i) => {
    const group = Math.floor((Math.floor(i / perGroup) * groups) / outputs);
    return ids[group * perGroup + (i % perGroup)] ?? 0;
  });
  return { dims: [outputs, perGroup, ...Array<number>(rank - 2).fill(1)], ids: each };
}
