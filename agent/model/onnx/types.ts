import type { GraphProto, NodeProto, ValueInfoProto } from './generated/messages.ts';
import { subgraphsOf } from './graph.ts';
import type { OnnxModel } from './open.ts';
import { bodyOf, ruleOf } from './type-rules.ts';
import type { ElementType } from './type-rules.ts';

/** The file declares another type for a tensor than its maker gives it. */
export interface TypeContradiction {
  readonly tensor: string;
  readonly inferred: number;
  readonly declared: number;
}

/** Element types (DataType) by tensor name; undefined where a tensor has none that we know. */
export interface TypeMap {
  /** As the main graph sees it. */
  readonly get: (name: string) => ElementType;
  /** As seen inside a body: its own tensors first, then those of the graphs around it. */
  readonly inside: (body: GraphProto) => (name: string) => ElementType;
  readonly contradictions: readonly TypeContradiction[];
}

interface State {
  readonly opset: number;
  readonly scopes: Map<GraphProto, Scope>;
  readonly contradictions: Map<string, TypeContradiction>;
}

/** The tensors of one graph; `outer` belongs to the graph around it. */
class Scope {
  private readonly own = new Map<string, ElementType>();
  private readonly declared: ReadonlyMap<string, ElementType>;
  private readonly outer: Scope | undefined;
  private readonly state: State;

  constructor(graph: GraphProto, outer: Scope | undefined, state: State) {
    const declarations = [...graph.valueInfo, ...graph.output, ...graph.input];
    this.declared = new Map(declarations.map((info) => [info.name ?? '', declaredType(info)]));
    this.outer = outer;
    this.state = state;
  }

  get(name: string): ElementType {
    return this.own.has(name) ? this.own.get(name) : this.outer?.get(name);
  }

  /** What inference found goes before what the file declares. */
  set(name: string, inferred: ElementType): void {
    if (name === '') return;
    const declared = this.declared.get(name);
    this.own.set(name, inferred ?? declared);
    if (inferred !== undefined && declared !== undefined && inferred !== declared) {
      this.state.contradictions.set(name, { tensor: name, inferred, declared });
    }
  }
}

function declaredType({ type }: ValueInfoProto): ElementType {
  const elemType = type?.tensorType?.elemType;
  // Zero is UNDEFINED.
  return elemType === 0 ? undefined : elemType;
}

/**
 * The element type of every tensor of a model, from its ops rather than from what the file says;
 * the file's word counts where an op is unknown. The model's nodes must stand in order, as
 * `openOnnx` leaves them.
 */
export function inferTypes(model: OnnxModel): TypeMap {
  const state: State = { opset: model.opset, scopes: new Map(), contradictions: new Map() };
  const main = inferGraph(model.graph, [], undefined, state);
  return {
    get: (name) => main.get(name),
    inside: (body) => {
      const scope = state.scopes.get(body) ?? main;
      return (name) => scope.get(name);
    },
    contradictions: [...state.contradictions.values()],
  };
}

function inferGraph(
  graph: GraphProto,
  inputs: readonly ElementType[],
  outer: Scope | undefined,
  state: State,
): Scope {
  const scope = new Scope(graph, outer, state);
  state.scopes.set(graph, scope);
  graph.input.forEach(({ name }, index) => scope.set(name ?? '', inputs[index]));
  for (const { name, dataType } of graph.initializer) scope.set(name ?? '', dataType);
  for (const node of graph.node) inferNode(node, scope, state);
  return scope;
}

function inferNode(node: NodeProto, scope: Scope, state: State): void {
  const visited = new Set<GraphProto>();
  const visit = (body: GraphProto, inputs: readonly ElementType[]) => {
    visited.add(body);
    const inner = inferGraph(body, inputs, scope, state);
    return body.output.map(({ name }) => inner.get(name ?? ''));
  };
  const types = ruleOf(node)({
    node,
    opset: state.opset,
    input: (index) => scope.get(node.input[index] ?? ''),
    body: (name, inputs) => {
      const body = bodyOf(node, name);
      return body === undefined ? [] : visit(body, inputs);
    },
  });
  // Bodies of ops that no rule looks into have types of their own nevertheless.
  for (const body of subgraphsOf(node)) if (!visited.has(body)) visit(body, []);
  const each = typeof types === 'object' ? types : node.output.map(() => types);
  node.output.forEach((name, index) => scope.set(name, each[index]));
}
