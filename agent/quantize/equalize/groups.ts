import type { ChannelRanges } from '../../model/statistics.ts';
import type { Layout } from './layout.ts';
import { noiseModel } from './noise.ts';
import type { NoiseModel } from './noise.ts';
import type { Product, Trace } from './trace.ts';
import { Variables } from './variables.ts';

/** Channels that depend on each other, and what they appear in. */
export interface Group {
  /** Root variables that may change. */
  readonly variables: ReadonlySet<number>;
  readonly tensors: readonly { readonly layout: Layout; readonly ranges: ChannelRanges }[];
  readonly products: readonly { readonly product: Product; readonly model: NoiseModel }[];
}

interface GrowingGroup extends Group {
  readonly variables: Set<number>;
  readonly tensors: { readonly layout: Layout; readonly ranges: ChannelRanges }[];
  readonly products: { readonly product: Product; readonly model: NoiseModel }[];
}

/** Variables that share a tensor are of one group; those that keep the factor 1 join nothing. */
export function groupsOf(
  traced: Trace,
  ranges: ReadonlyMap<string, ChannelRanges>,
): readonly Group[] {
  const find = groupFinder(traced);
  for (const [name, layout] of traced.layouts) {
    const seen = ranges.get(name);
    if (seen?.max.length !== layout.ids.length) continue;
    find.of(layout)?.tensors.push({ layout, ranges: seen });
  }
  for (const product of traced.products) {
    const seen = ranges.get(product.input);
    const group = find.of(product.layout);
    if (seen?.max.length !== product.layout.ids.length) continue;
    group?.products.push({ product, model: noiseModel(product, product.values(), seen) });
  }
  return [...find.groups.values()].filter(({ products }) => products.length > 0);
}

function groupFinder({ variables, layouts }: Trace) {
  const links = new Variables();
  links.fresh(variables.size);
  const free = ({ ids }: Layout) =>
    [...ids].map((id) => variables.root(id)).filter((id) => !variables.isFixed(id));
  for (const layout of layouts.values()) {
    const [first, ...others] = free(layout);
    if (first !== undefined) for (const other of others) links.join(first, other);
  }
  const groups = new Map<number, GrowingGroup>();
  const of = (layout: Layout): GrowingGroup | undefined => {
    const ids = free(layout);
    const [first] = ids;
    if (first === undefined) return undefined;
    const key = links.root(first);
    const group = groups.get(key) ?? { variables: new Set(), tensors: [], products: [] };
    groups.set(key, group);
    for (const id of ids) group.variables.add(id);
    return group;
  };
  return { groups, of };
}

/** How large channels are, relative to the largest beside them: 0 to 1, by root variable. */
export interface Sizes {
  /** Of the values, relative to the range of their tensor. */
  readonly activations: ReadonlyMap<number, number>;
  /** Of the weights that read them, relative to the largest of that product. */
  readonly weights: ReadonlyMap<number, number>;
}

export function sizesOf({ tensors, products }: Group, variables: Variables): Sizes {
  const activations = new Map<number, number>();
  const weights = new Map<number, number>();
  for (const { layout, ranges } of tensors) {
    note(activations, layout, magnitudes(ranges), variables);
  }
  for (const { product, model } of products) {
    note(weights, product.layout, model.weightMaxima, variables);
  }
  return { activations, weights };
}

function magnitudes({ min, max }: ChannelRanges): Float64Array {
  return max.map((high, channel) => Math.max(Math.abs(high), Math.abs(min[channel] ?? 0)));
}

function note(
  into: Map<number, number>,
  { ids }: Layout,
  sizes: Float64Array,
  variables: Variables,
): void {
  const largest = sizes.reduce((a, b) => Math.max(a, b), 0);
  if (largest === 0) return;
  ids.forEach((id, channel) => {
    const root = variables.root(id);
    into.set(root, Math.max(into.get(root) ?? 0, (sizes[channel] ?? 0) / largest));
  });
}
