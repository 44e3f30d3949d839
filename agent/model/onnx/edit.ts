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
  const renames = new Map([...edit.rename].map(([from, to]) => [from, follow(edit.rename, to)]));
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

function follow(renames: ReadonlyMap<string, string>, name: string): string {
  const next = renames.get(name);
  return next === undefined ? name : follow(renames, next);
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

/** Puts nodes into an order in which every tensor is made before it is read. */
export function sortNodes(graph: GraphProto): GraphProto {
  const makers = new Map<string, NodeProto>();
  for (const node of graph.node) for (const name of node.output) makers.set(name, node);
  const done = new Set<NodeProto>();
  const order: NodeProto[] = [];
  for (const root of graph.node) visit(root);
  return { ...graph, node: order };

  function visit(root: NodeProto): void {
    // An explicit stack: chains of a real network are deeper than the call stack may be.
    const stack: { readonly node: NodeProto; readonly waiting: NodeProto[] }[] = [];
    enter(root);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const next = top.waiting.pop();
      if (next !== undefined) enter(next);
      else {
        order.push(top.node);
        stack.pop();
      }
    }

    function enter(node: NodeProto): void {
      if (done.has(node)) return;
      done.add(node);
      const names = [...node.input, ...subgraphsOf(node).flatMap((b) => [...capturedNames(b)])];
      const waiting = names.flatMap((name) => makers.get(name) ?? []);
      stack.push({ node, waiting });
    }
  }
}
