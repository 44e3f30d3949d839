import type { GraphProto, NodeProto, ValueInfoProto } from './generated/messages.ts';
import { makeNode, nameMaker, opName, subgraphsOf } from './graph.ts';
import { floatTensor } from './tensor.ts';

/** A tensor of a body and the tensor of the main graph that shows it. */
export interface Shown {
  readonly tensor: string;
  readonly as: string;
  /** Of a loop: the values of all iterations, stacked along a new first axis. */
  readonly stacked: boolean;
}

export interface ExposedBodies {
  readonly graph: GraphProto;
  readonly shown: readonly Shown[];
}

/**
 * Hands float tensors of control-flow bodies out to the main graph: as additional outputs of an If
 * (whose other branch hands out nothing: a tensor without values), and as scan outputs of a Loop.
 * @param graph with unique names (withUniqueNames)
 * @param wanted names of tensors that nodes of bodies make; every one must be float32
 */
export function exposeBodies(graph: GraphProto, wanted: ReadonlySet<string>): ExposedBodies {
  return expose(graph, wanted, nameMaker(graph));
}

function expose(
  graph: GraphProto,
  wanted: ReadonlySet<string>,
  unique: (wish: string) => string,
): ExposedBodies {
  const shown: Shown[] = [];
  const node = graph.node.map((one) => {
    const { node: rebuilt, handed } = handOut(one, wanted, unique);
    shown.push(...handed);
    return rebuilt;
  });
  return { graph: shown.length === 0 ? graph : { ...graph, node }, shown };
}

interface HandedOut {
  readonly node: NodeProto;
  readonly handed: readonly Shown[];
}

function handOut(
  node: NodeProto,
  wanted: ReadonlySet<string>,
  unique: (wish: string) => string,
): HandedOut {
  const bodies = subgraphsOf(node);
  const op = opName(node);
  if (bodies.length === 0 || (op !== 'If' && op !== 'Loop')) return { node, handed: [] };
  const opened = bodies.map((body) => openBody(body, wanted, unique));
  const all = opened.flatMap(({ shown }) => shown);
  if (all.length === 0) return { node, handed: [] };
  const handed = all.map(({ tensor, stacked }) => ({
    tensor,
    as: unique(`${tensor}:shown`),
    stacked: stacked || op === 'Loop',
  }));
  const made = opened.map(({ graph, shown }) => {
    const own = new Map(shown.map((one) => [one.tensor, one.as]));
    return withOutputs(
      graph,
      all.map(({ tensor }) => own.get(tensor)),
      unique,
    );
  });
  const output = [...node.output, ...handed.map(({ as }) => as)];
  return { node: { ...withBodies(node, made), output }, handed };
}

/** A body with what its own bodies hand out; and what it can hand out in turn. */
function openBody(
  body: GraphProto,
  wanted: ReadonlySet<string>,
  unique: (wish: string) => string,
): ExposedBodies {
  const inner = expose(body, wanted, unique);
  const own = body.node.flatMap(({ output }) => output.filter((name) => wanted.has(name)));
  return {
    graph: inner.graph,
    shown: [...own.map((name) => ({ tensor: name, as: name, stacked: false })), ...inner.shown],
  };
}

/** The body with additional outputs; where it has nothing to give, a tensor without values. */
function withOutputs(
  body: GraphProto,
  names: readonly (string | undefined)[],
  unique: (wish: string) => string,
): GraphProto {
  const node = [...body.node];
  const output: ValueInfoProto[] = [...body.output];
  for (const name of names) {
    const given = unique('given');
    if (name === undefined) {
      const value = floatTensor('', new Float32Array(0));
      node.push(makeNode('Constant', [], [given], { attributes: { value } }));
    } else {
      // A copy: the same tensor must not be an output twice.
      node.push(makeNode('Identity', [name], [given]));
    }
    output.push({ name: given });
  }
  return { ...body, node, output };
}

function withBodies(node: NodeProto, bodies: readonly GraphProto[]): NodeProto {
  let next = 0;
  const attribute = node.attribute.map((one) =>
    one.g === undefined ? one : { ...one, g: bodies[next++] },
  );
  return { ...node, attribute };
}
