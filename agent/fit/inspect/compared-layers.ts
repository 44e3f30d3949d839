import type { ComparedTensors } from './compare-tensors.ts';

/** A tensor that both models have, with what makes it. */
export interface ComparedLayer {
  readonly tensor: string;
  readonly node: string;
  readonly op: string;
  /** Whether the quantized model computes it with integers. */
  readonly integer: boolean;
  readonly output: boolean;
  /** Tensors of the comparison that it is made from. */
  readonly madeFrom: readonly string[];
  /** Only moves values: what it rounds has been rounded before it. */
  readonly moves: boolean;
}

/** What comparing two models of one format came to. */
export interface ComparedLayers {
  readonly layers: readonly ComparedLayer[];
  /** Tensors of the float model that the quantized one has not. */
  readonly gone: readonly Pick<ComparedLayer, 'tensor' | 'node' | 'op'>[];
  readonly found: ComparedTensors;
}

/** Tensors of this size together are outputs of one run; more of them take another run. */
const GROUP_BYTES = 64 * 2 ** 20;

/** Neighbours in the graph together, so that most of what a group needs is in it. */
export function groupBySize<T extends { readonly tensor: string }>(
  items: readonly T[],
  sizes: ReadonlyMap<string, number>,
  most = GROUP_BYTES,
): readonly (readonly T[])[] {
  const groups: T[][] = [];
  let used = 0;
  for (const item of items) {
    const bytes = sizes.get(item.tensor) ?? 0;
    const group = groups.at(-1);
    if (group !== undefined && used + bytes <= most) {
      group.push(item);
      used += bytes;
    } else {
      groups.push([item]);
      used = bytes;
    }
  }
  return groups;
}

/** Parts of one comparison as one. */
export function joined(parts: readonly ComparedTensors[]): ComparedTensors {
  return {
    samples: parts[0]?.samples ?? 0,
    tensors: parts.flatMap(({ tensors }) => tensors),
    unlike: parts.flatMap(({ unlike }) => unlike),
    problem: parts.find(({ problem }) => problem !== undefined)?.problem,
  };
}
