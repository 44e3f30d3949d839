import type { GraphProto, NodeProto, TensorProto } from './generated/messages.ts';
import { capturedNames, renameInputs, subgraphsOf } from './graph.ts';

/** What to change in a graph, decided first and applied in one go. */
export interface GraphEdit {
  /** Each node with what stands in its place; an empty list removes it. */
  readonly replace: Map<NodeProto, readonly NodeProto[]>;
  /** Readers of the first name read the second instead. */
  readonly rename: Map<string, string>;
  /** Initializers to add, or to put in the place of those of the same name. */
  readonly initializers: Map<string, TensorProto>;
}

export function newEdit(): GraphEdit {
  return { replace: new Map(), rename: new Map(), initializers: new Map() };
}

export function isEmptyEdit(edit: GraphEdit): boolean {
  return edit.replace.size === 0 && edit.rename.size === 0 && edit.initializers.size === 0;
}

/** The graph after the edit; the same graph when there is nothing to change. */
export function applyEdit(graph: GraphProto, edit: GraphEdit): GraphProto {
  if (isEmptyEdit(edit)) return graph;
  const renames = ends(edit.rename);
  const node = graph.node
    .flatMap((one) => edit.replace.get(one) ?? [one])
    .map((one) => (renames.size === 0 ? one : renameInputs(one, renames)));
  const kept = graph.initializer.map(
    (tensor) => edit.initializers.get(tensor.name ?? '') ?? tensor,
  );
  const names = new Set(graph.initializer.map(({ name }) => name ?? ''));
  const added = [...edit.initializers].filter(([name]) => !names.has(name)).map(([, t]) => t);
  return { ...graph, node, initializer: [...kept, ...added] };
}

/**
 * Each name with the end of its chain of renames. Chains of a real network are deeper than the call
 * stack may be, and each is walked only once.
 */
function ends(renames: ReadonlyMap<string, string>): Map<string, string> {
  const found = new Map<string, string>();
  for (const start of renames.keys()) {
    const passed: string[] = [];
    let end = start;
    for (let next = renames.get(end); next !== undefined; next = renames.get(end)) {
      passed.push(end);
      end = found.get(end) ?? next;
    }
    for (const name of passed) found.set(name, end);
  }
  return found;
}

/**
 * Edits until nothing changes any more: `once` gives back the graph that it was given when it finds
 * nothing to do. A chain of nodes takes one round for each link.
 */
export function editRepeatedly(
  graph: GraphProto,
  once: (graph: GraphProto) => GraphProto,
): GraphProto {
  let current = graph;
  for (let round = 0; round <= graph.node.length; round++) {
    const next = once(current);
    if (next === current) break;
    current = next;
  }
  return current;
}

/** Removes nodes whose outputs nobody reads, and initializers that no node or body reads. */
export function dropUnused(graph: GraphProto): GraphProto {
  const used = new Set(graph.output.map(({ name }) => name ?? ''));
  const kept: NodeProto[] = [];
  for (const node of graph.node.toReversed()) {
    if (!node.output.some((name) => used.has(name))) continue;
    kept.push(node);
    for (const name of node.input) used.add(name);
    for (const body of subgraphsOf(node)) for (const name of capturedNames(body)) used.add(name);
  }
  const initializer = graph.initializer.filter(({ name }) => used.has(name ?? ''));
  if (kept.length === graph.node.length && initializer.length === graph.initializer.length) {
    return graph;
  }
  return { ...graph, node: kept.toReversed(), initializer };
}
