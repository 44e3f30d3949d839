import type { ChannelRanges } from '../../model/statistics.ts';
import { groupsOf, sizesOf } from './groups.ts';
import type { Group, Sizes } from './groups.ts';
import { onlyAxis } from './layout.ts';
import type { Trace } from './trace.ts';
import type { Variables } from './variables.ts';

/** How much of the ranges' spread moves from the activations into the weights; 0 is none. */
const STRENGTHS: readonly number[] = [0.25, 0.5, 0.75, 1];
/** No channel is scaled by more: what calibration did not see must still fit. */
export const LARGEST_FACTOR = 32;
/**
 * Channels grow until values this much larger than those seen would fill the tensor's range. One
 * channel exceeds what a few samples showed far sooner than the largest of all channels does.
 */
export const HEADROOM = 2;
/** Less gain (1.2 dB) is within what the prediction errs by, and not worth a change. */
const WORTHWHILE = 0.75;
/** A channel this small beside its tensor's range is taken for dead. */
const DEAD = 1e-6;

/** A tensor to be looked at channel by channel. */
export interface ChannelTarget {
  readonly name: string;
  readonly axis: number;
}

/** The tensors whose ranges per channel choosing factors takes. */
export function targetsOf({ layouts, variables }: Trace): ChannelTarget[] {
  return [...layouts].flatMap(([name, layout]) => {
    const axis = onlyAxis(layout);
    const fixed = layout.ids.every((id) => variables.isFixed(id));
    return axis === undefined || fixed ? [] : [{ name, axis }];
  });
}

export interface GroupReport {
  /** The outputs of the products whose inputs are scaled. */
  readonly outputs: readonly string[];
  readonly channels: number;
  /** Predicted noise power with the factors, relative to that without. */
  readonly noise: number;
}

export interface Factors {
  /** What the channel of a variable is divided by. */
  readonly of: (id: number) => number;
  readonly groups: readonly GroupReport[];
}

export interface FactorOptions {
  /** Take this strength (alpha of SmoothQuant) everywhere, whatever gain it promises. */
  readonly strength?: number | undefined;
  /** How far values may exceed what was seen; HEADROOM when it is not given. */
  readonly headroom?: number | undefined;
}

/** Chooses a factor for each channel so that the predicted noise of the products is least. */
export function chooseFactors(
  traced: Trace,
  ranges: ReadonlyMap<string, ChannelRanges>,
  options: FactorOptions = {},
): Factors {
  const { variables } = traced;
  const chosen = new Map<number, number>();
  const groups: GroupReport[] = [];
  for (const group of groupsOf(traced, ranges)) {
    const best = bestOf(group, variables, options);
    if (best === undefined) continue;
    for (const [id, factor] of best.factors) chosen.set(id, factor);
    const outputs = group.products.map(({ product }) => product.output);
    groups.push({ outputs, channels: best.factors.size, noise: best.noise });
  }
  return { of: (id) => chosen.get(variables.root(id)) ?? 1, groups };
}

interface Best {
  readonly factors: ReadonlyMap<number, number>;
  readonly noise: number;
}

function bestOf(
  group: Group,
  variables: Variables,
  { strength, headroom = HEADROOM }: FactorOptions,
): Best | undefined {
  const sizes = sizesOf(group, variables);
  const before = noisesOf(group, variables, new Map());
  let best: Best | undefined;
  for (const alpha of strength === undefined ? STRENGTHS : [strength]) {
    // With regard to the weights (SmoothQuant), and without.
    for (const balance of [0, 1 - alpha]) {
      const factors = factorsFor(sizes, { alpha, balance, headroom }, group.variables);
      const ratios = noisesOf(group, variables, factors).map((noise, k) =>
        before[k] === 0 ? 1 : noise / (before[k] ?? 1),
      );
      const noise = ratios.reduce((a, b) => a + b, 0) / ratios.length;
      if (noise < (best?.noise ?? Infinity)) best = { factors, noise };
    }
  }
  const worthwhile = strength !== undefined || (best?.noise ?? 1) < WORTHWHILE;
  return worthwhile ? best : undefined;
}

function noisesOf(
  { products }: Group,
  variables: Variables,
  factors: ReadonlyMap<number, number>,
): number[] {
  const factorOf = (id: number) => factors.get(variables.root(id)) ?? 1;
  return products.map(({ model }) => model.noise(factorOf));
}

/** s = max|x|^alpha / max|W|^balance (Xiao et al. 2022, eq. 4), such that no tensor's range grows. */
function factorsFor(
  { activations, weights }: Sizes,
  { alpha, balance, headroom }: { alpha: number; balance: number; headroom: number },
  mayChange: ReadonlySet<number>,
): ReadonlyMap<number, number> {
  const raw = new Map<number, number>();
  let largest = 0;
  for (const [id, seen] of activations) {
    if (seen < DEAD || !mayChange.has(id)) continue;
    const size = Math.min(1, seen * headroom);
    const factor = size ** alpha / Math.max(weights.get(id) ?? 1, DEAD) ** balance;
    raw.set(id, factor);
    largest = Math.max(largest, size / factor);
  }
  const limited = (factor: number) =>
    Math.min(Math.max(factor * largest, 1 / LARGEST_FACTOR), LARGEST_FACTOR);
  return new Map([...raw].map(([id, factor]) => [id, limited(factor)]));
}
