import type { GraphProto, NodeProto } from './generated/messages.ts';
import { indexGraph, usedNames } from './graph.ts';

/** A stretch of a graph that can be run by itself, between what came before and what comes after. */
export interface Stage {
  readonly nodes: readonly NodeProto[];
  /** Tensors of earlier stages, or inputs of the graph, that it reads. */
  readonly reads: readonly string[];
  /** Tensors that it makes and that later stages, the graph's outputs or `ends` name. */
  readonly gives: readonly string[];
}

/** Cuts a graph behind each node that makes one of `ends`; what follows the last one is left out. */
export function splitStages(graph: GraphProto, ends: ReadonlySet<string>): Stage[] {
  const parts: NodeProto[][] = [];
  let part: NodeProto[] = [];
  for (const node of graph.node) {
    part.push(node);
    if (!node.output.some((name) => ends.has(name))) continue;
    parts.push(part);
    part = [];
  }
  const { initializers } = indexGraph(graph);
  const wanted = new Set(ends);
  const stages: Stage[] = [];
  for (const nodes of parts.toReversed()) {
    const made = new Set(nodes.flatMap(({ output }) => output));
    const reads = new Set(
      nodes.flatMap(usedNames).filter((name) => !made.has(name) && !initializers.has(name)),
    );
    stages.push({ nodes, reads: [...reads], gives: [...made].filter((name) => wanted.has(name)) });
    for (const name of reads) wanted.add(name);
  }
  return stages.toReversed();
}

/** The graph of one stage. `types` are the element types of what it reads. */
export function stageGraph(
  graph: GraphProto,
  { nodes, reads, gives }: Stage,
  types: ReadonlyMap<string, number>,
): GraphProto {
  const used = new Set(nodes.flatMap(usedNames));
  return {
    ...graph,
    node: nodes,
    input: reads.map((name) => ({ name, type: { tensorType: { elemType: types.get(name) } } })),
    // Types may be left out: the runtime infers them.
    output: gives.map((name) => ({ name })),
    initializer: graph.initializer.filter(({ name }) => used.has(name ?? '')),
    valueInfo: [],
  };
}
