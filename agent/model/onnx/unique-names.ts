import type { GraphProto, NodeProto } from './generated/messages.ts';
import { mapBodies, subgraphsOf } from './graph.ts';

/**
 * The graph with no tensor name used twice, whatever the branch or body: what is then learned about
 * a name is about one tensor. Two branches of an If may call different things the same. Only names
 * inside bodies change.
 */
export function withUniqueNames(graph: GraphProto): GraphProto {
  if (graph.node.every((node) => subgraphsOf(node).length === 0)) return graph;
  const used = new Set(definedNames(graph));
  return renameBodies(graph, new Map(), used);
}

function definedNames({ input, initializer, node }: GraphProto): string[] {
  const named = [...input, ...initializer].map(({ name }) => name ?? '');
  return [...named, ...node.flatMap(({ output }) => output.filter((name) => name !== ''))];
}

type Names = ReadonlyMap<string, string>;

function renameBodies(graph: GraphProto, scope: Names, used: Set<string>): GraphProto {
  const node = graph.node.map((one) => mapBodies(one, (body) => renameBody(body, scope, used)));
  return node.every((one, i) => one === graph.node[i]) ? graph : { ...graph, node };
}

function renameBody(body: GraphProto, outer: Names, used: Set<string>): GraphProto {
  const scope = new Map(outer);
  let changed = [...outer].some(([from, to]) => from !== to);
  for (const name of definedNames(body)) {
    const own = freshName(name, used);
    scope.set(name, own);
    used.add(own);
    changed ||= own !== name;
  }
  if (!changed) return renameBodies(body, scope, used);
  const to = (name: string) => scope.get(name) ?? name;
  const named = <T extends { readonly name?: string | undefined }>(value: T): T => ({
    ...value,
    name: to(value.name ?? ''),
  });
  const renamed: GraphProto = {
    ...body,
    input: body.input.map(named),
    output: body.output.map(named),
    initializer: body.initializer.map(named),
    valueInfo: body.valueInfo.map(named),
    node: body.node.map((node): NodeProto => ({
      ...node,
      input: node.input.map(to),
      output: node.output.map(to),
    })),
  };
  return renameBodies(renamed, scope, used);
}

function freshName(wish: string, used: ReadonlySet<string>): string {
  let name = wish;
  for (let count = 1; used.has(name); count += 1) name = `${wish}_${count}`;
  return name;
}
