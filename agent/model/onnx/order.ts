import { ModelError } from '../errors.ts';
import type { GraphProto, NodeProto } from './generated/messages.ts';
import { mapBodies, nodeLabel, opName, subgraphsOf, usedNames } from './graph.ts';

/**
 * The rules that every pass relies on: a tensor has one maker, nothing waits for itself, and nodes
 * stand behind those that they read from (onnx docs, IR, "Graphs"). Runtimes accept nodes in any
 * order, so they are sorted here; the rest is refused.
 */
export function inOrder(graph: GraphProto): GraphProto {
  const node = graph.node.map((one) =>
    subgraphsOf(one).length === 0 ? one : mapBodies(one, inOrder),
  );
  const makers = makersOf(graph);
  const sorted = isSorted(node, makers) ? node : sort(node, makers);
  return sorted.every((one, index) => one === graph.node[index])
    ? graph
    : { ...graph, node: sorted };
}

const describe = (node: NodeProto) => `node '${nodeLabel(node)}' (${opName(node)})`;

/** Position of the node that makes each tensor. */
function makersOf(graph: GraphProto): ReadonlyMap<string, number> {
  const given = new Set([...graph.input, ...graph.initializer].map(({ name }) => name ?? ''));
  const makers = new Map<string, number>();
  for (const [index, node] of graph.node.entries()) {
    for (const name of node.output) {
      if (name === '') continue;
      if (given.has(name) || makers.has(name)) {
        throw new ModelError('MALFORMED', `${describe(node)} makes '${name}' a second time`);
      }
      makers.set(name, index);
    }
  }
  return makers;
}

function isSorted(nodes: readonly NodeProto[], makers: ReadonlyMap<string, number>): boolean {
  return nodes.every((node, index) =>
    usedNames(node).every((name) => (makers.get(name) ?? -1) < index),
  );
}

/** Kahn's algorithm; nodes that are ready at once keep their order. */
function sort(nodes: readonly NodeProto[], makers: ReadonlyMap<string, number>): NodeProto[] {
  const readers = nodes.map((): number[] => []);
  const missing = nodes.map((node, index) => {
    const needs = new Set(usedNames(node).flatMap((name) => makers.get(name) ?? []));
    for (const maker of needs) readers[maker]?.push(index);
    return needs.size;
  });
  const ready = nodes.flatMap((_, index) => (missing[index] === 0 ? [index] : []));
  for (const done of ready) {
    for (const reader of readers[done] ?? []) {
      const left = (missing[reader] ?? 0) - 1;
      missing[reader] = left;
      if (left === 0) ready.push(reader);
    }
  }
  if (ready.length < nodes.length) {
    const stuck = nodes.find((_, index) => (missing[index] ?? 0) > 0);
    const label = stuck === undefined ? '' : describe(stuck);
    throw new ModelError('MALFORMED', `${label} waits for its own output: the graph has a cycle`);
  }
  return ready.flatMap((index) => nodes[index] ?? []);
}
