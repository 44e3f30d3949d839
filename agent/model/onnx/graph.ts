import { uniqueNames } from '../names.ts';
import type { AttributeProto, GraphProto, NodeProto, TensorProto } from './generated/messages.ts';

/** Reading and rebuilding graphs. Nothing here edits in place: passes return new graphs. */

export const MS_DOMAIN = 'com.microsoft';

/** The standard operators: both spellings mean the same (onnx, docs/Versioning.md). */
export function isDefaultDomain(domain: string | undefined): boolean {
  return domain === undefined || domain === '' || domain === 'ai.onnx';
}

/** `Conv`, or `com.microsoft.QGemm` for ops outside the standard domain. */
export function opName(node: NodeProto): string {
  const op = node.opType ?? '';
  return isDefaultDomain(node.domain) ? op : `${node.domain}.${op}`;
}

/** How reports name a node: its name, or the first thing it makes when it has none. */
export function nodeLabel(node: NodeProto): string {
  return node.name !== undefined && node.name !== '' ? node.name : firstOutput(node);
}

/** The first output that is there: an LSTM may leave its first ones out. */
export function firstOutput({ output }: NodeProto): string {
  return output.find((name) => name !== '') ?? '';
}

const find = (node: NodeProto, name: string): AttributeProto | undefined =>
  node.attribute.find((attribute) => attribute.name === name);

export function intAttribute(node: NodeProto, name: string): number | undefined {
  const value = find(node, name)?.i;
  return value === undefined ? undefined : Number(value);
}

export function intsAttribute(node: NodeProto, name: string): number[] | undefined {
  return find(node, name)?.ints.map(Number);
}

/** As stored, for values such as the largest int64. */
export function longsAttribute(node: NodeProto, name: string): readonly bigint[] | undefined {
  return find(node, name)?.ints;
}

export function floatAttribute(node: NodeProto, name: string): number | undefined {
  return find(node, name)?.f;
}

export function stringAttribute(node: NodeProto, name: string): string | undefined {
  const value = find(node, name)?.s;
  return value === undefined ? undefined : Buffer.from(value).toString('utf8');
}

export function tensorAttribute(node: NodeProto, name: string): TensorProto | undefined {
  return find(node, name)?.t;
}

/** Integers must be bigint; a number is a float. */
export type AttributeValue =
  bigint | number | string | readonly bigint[] | readonly number[] | TensorProto | GraphProto;

/** onnx.AttributeProto.AttributeType */
const ATTRIBUTE_TYPE = { float: 1, int: 2, string: 3, tensor: 4, graph: 5, floats: 6, ints: 7 };
const EMPTY = { floats: [], ints: [], strings: [], tensors: [], graphs: [] };

export function makeAttribute(name: string, value: AttributeValue): AttributeProto {
  const base = { ...EMPTY, name };
  if (typeof value === 'bigint') return { ...base, i: value, type: ATTRIBUTE_TYPE.int };
  if (typeof value === 'number') return { ...base, f: value, type: ATTRIBUTE_TYPE.float };
  if (typeof value === 'string') {
    return { ...base, s: Buffer.from(value), type: ATTRIBUTE_TYPE.string };
  }
  if ('dims' in value) return { ...base, t: value, type: ATTRIBUTE_TYPE.tensor };
  if ('node' in value) return { ...base, g: value, type: ATTRIBUTE_TYPE.graph };
  const ints = value.filter((item) => typeof item === 'bigint');
  if (ints.length === value.length) return { ...base, ints, type: ATTRIBUTE_TYPE.ints };
  return { ...base, floats: value.map(Number), type: ATTRIBUTE_TYPE.floats };
}

export interface NodeOptions {
  readonly name?: string;
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
}

export function makeNode(
  opType: string,
  input: readonly string[],
  output: readonly string[],
  options: NodeOptions = {},
): NodeProto {
  const attribute = Object.entries(options.attributes ?? {}).map(([name, value]) =>
    makeAttribute(name, value),
  );
  const node = { opType, input, output, attribute, name: options.name ?? output[0] ?? '' };
  return options.domain === undefined ? node : { ...node, domain: options.domain };
}

/** A node without a name of its own: onnxruntime refuses two nodes of one name. */
export function namelessNode(
  opType: string,
  input: readonly string[],
  output: readonly string[],
  attributes: NodeOptions['attributes'] = {},
): NodeProto {
  return { ...makeNode(opType, input, output, { attributes }), name: undefined };
}

/** The node with attributes set (a value) or removed (undefined). */
export function withAttributes(
  node: NodeProto,
  changes: Readonly<Record<string, AttributeValue | undefined>>,
): NodeProto {
  const kept = node.attribute.filter(({ name }) => !(name !== undefined && name in changes));
  const added = Object.entries(changes).flatMap(([name, value]) =>
    value === undefined ? [] : [makeAttribute(name, value)],
  );
  return { ...node, attribute: [...kept, ...added] };
}

/** The graphs a node carries (If branches, Loop and Scan bodies). */
export function subgraphsOf(node: NodeProto): readonly GraphProto[] {
  return node.attribute.flatMap(({ g, graphs }) => (g === undefined ? graphs : [g, ...graphs]));
}

/** Applies `change` to every graph, bodies before the graph that holds them. */
export function mapGraphs(
  graph: GraphProto,
  change: (graph: GraphProto, depth: number) => GraphProto,
  depth = 0,
): GraphProto {
  const node = graph.node.map((one) =>
    subgraphsOf(one).length === 0
      ? one
      : mapBodies(one, (body) => mapGraphs(body, change, depth + 1)),
  );
  const same = node.every((one, index) => one === graph.node[index]);
  return change(same ? graph : { ...graph, node }, depth);
}

/** Rebuilds a node around changed bodies; the same node when no body changed. */
export function mapBodies(node: NodeProto, change: (body: GraphProto) => GraphProto): NodeProto {
  let changed = false;
  const attribute = node.attribute.map((one) => {
    const g = one.g === undefined ? undefined : change(one.g);
    const graphs = one.graphs.map(change);
    if (g === one.g && graphs.every((body, index) => body === one.graphs[index])) return one;
    changed = true;
    return { ...one, g, graphs };
  });
  return changed ? { ...node, attribute } : node;
}

/** Every node, bodies included. */
export function* allNodes(graph: GraphProto): Generator<NodeProto> {
  for (const node of graph.node) {
    yield node;
    for (const body of subgraphsOf(node)) yield* allNodes(body);
  }
}

/** Names that a body takes from the graphs around it. */
export function capturedNames(body: GraphProto): Set<string> {
  const own = new Set<string>();
  for (const { name } of [...body.initializer, ...body.input]) own.add(name ?? '');
  for (const { output } of body.node) for (const name of output) own.add(name);
  const captured = new Set<string>();
  const use = (name: string) => {
    if (name !== '' && !own.has(name)) captured.add(name);
  };
  for (const node of body.node) usedNames(node).forEach(use);
  for (const { name } of body.output) use(name ?? '');
  return captured;
}

/** The tensors a node reads: its inputs and what its bodies capture. */
export function usedNames(node: NodeProto): readonly string[] {
  const direct = node.input.filter((name) => name !== '');
  const captured = subgraphsOf(node).flatMap((body) => [...capturedNames(body)]);
  return captured.length === 0 ? direct : [...direct, ...captured];
}

/** Who makes and who reads each tensor of one graph. */
export interface GraphIndex {
  readonly producer: ReadonlyMap<string, NodeProto>;
  readonly consumers: ReadonlyMap<string, readonly NodeProto[]>;
  readonly initializers: ReadonlyMap<string, TensorProto>;
  readonly inputs: ReadonlySet<string>;
  readonly outputs: ReadonlySet<string>;
}

const namesOf = (values: GraphProto['input']) => new Set(values.map(({ name }) => name ?? ''));

export function indexGraph(graph: GraphProto): GraphIndex {
  const producer = new Map<string, NodeProto>();
  const consumers = new Map<string, NodeProto[]>();
  for (const node of graph.node) {
    for (const name of node.output) if (name !== '') producer.set(name, node);
    for (const name of new Set(usedNames(node))) {
      const list = consumers.get(name);
      if (list === undefined) consumers.set(name, [node]);
      else list.push(node);
    }
  }
  return {
    producer,
    consumers,
    initializers: new Map(graph.initializer.map((tensor) => [tensor.name ?? '', tensor])),
    inputs: namesOf(graph.input),
    outputs: namesOf(graph.output),
  };
}

/** Makes names that no tensor or node of the model has yet. */
export function nameMaker(graph: GraphProto): (wish: string) => string {
  const taken = new Set<string>();
  collectNames(graph, taken);
  return uniqueNames(taken);
}

function collectNames(graph: GraphProto, into: Set<string>): void {
  for (const { name } of [...graph.input, ...graph.output, ...graph.initializer])
    into.add(name ?? '');
  for (const node of graph.node) {
    into.add(node.name ?? '');
    for (const name of [...node.input, ...node.output]) into.add(name);
    for (const body of subgraphsOf(node)) collectNames(body, into);
  }
}

/** Reads names through `renames`, in nodes, their bodies and nothing else. */
export function renameInputs(node: NodeProto, renames: ReadonlyMap<string, string>): NodeProto {
  const input = node.input.map((name) => renames.get(name) ?? name);
  const renamed = input.every((name, index) => name === node.input[index])
    ? node
    : { ...node, input };
  return subgraphsOf(renamed).length === 0
    ? renamed
    : mapBodies(renamed, (body) => renameCaptured(body, renames));
}

function renameCaptured(body: GraphProto, renames: ReadonlyMap<string, string>): GraphProto {
  const captured = capturedNames(body);
  const relevant = new Map([...renames].filter(([name]) => captured.has(name)));
  if (relevant.size === 0) return body;
  const node = body.node.map((one) => renameInputs(one, relevant));
  const missing = body.output.flatMap((value) => {
    const to = relevant.get(value.name ?? '');
    return to === undefined ? [] : [namelessNode('Identity', [to], [value.name ?? ''])];
  });
  return { ...body, node: [...node, ...missing] };
}

/** The one node that reads what `node` makes, where nothing else needs it, nor another output of it. */
export function onlyReader(node: NodeProto, index: GraphIndex): NodeProto | undefined {
  const [output = '', ...others] = node.output;
  const readers = index.consumers.get(output) ?? [];
  const plain = others.every((name) => name === '') && !index.outputs.has(output);
  return plain && readers.length === 1 ? readers[0] : undefined;
}
