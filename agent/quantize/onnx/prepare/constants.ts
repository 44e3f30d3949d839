import type {
  GraphProto,
  ModelProto,
  NodeProto,
  TensorProto,
} from '../../../model/onnx/generated/messages.ts';
import { applyEdit, newEdit } from '../../../model/onnx/edit.ts';
import {
  indexGraph,
  nameMaker,
  namelessNode,
  opName,
  subgraphsOf,
  tensorAttribute,
  usedNames,
  floatAttribute,
} from '../../../model/onnx/graph.ts';
import { floatTensor, int64Tensor, makeTensor, DataType } from '../../../model/onnx/tensor.ts';

/**
 * Quantizers, ours and onnxruntime's fusions alike, see weights only in initializers. So constants
 * in any other form become initializers first.
 */

/** Before IR 4 initializers were listed as inputs too, which makes them changeable and unfusable. */
export function initializersAreNoInputs(graph: GraphProto): GraphProto {
  const names = new Set(graph.initializer.map(({ name }) => name ?? ''));
  const input = graph.input.filter(({ name }) => !names.has(name ?? ''));
  return input.length === graph.input.length ? graph : { ...graph, input };
}

/** Constant nodes become initializers, unless they are an output of the graph. */
export function constantNodesToInitializers(graph: GraphProto): GraphProto {
  const { outputs } = indexGraph(graph);
  const edit = newEdit();
  for (const node of graph.node) {
    const name = node.output[0] ?? '';
    const value = opName(node) === 'Constant' ? constantValue(node, name) : undefined;
    if (value === undefined || outputs.has(name)) continue;
    edit.replace.set(node, []);
    edit.initializers.set(name, value);
  }
  return applyEdit(graph, edit);
}

function constantValue(node: NodeProto, name: string): TensorProto | undefined {
  const tensor = tensorAttribute(node, 'value');
  if (tensor !== undefined) return { ...tensor, name };
  const float = floatAttribute(node, 'value_float');
  if (float !== undefined) return floatTensor(name, float);
  const [only] = node.attribute;
  if (only?.name === 'value_int' && only.i !== undefined) {
    return makeTensor(name, DataType.INT64, [], BigInt64Array.of(only.i));
  }
  // Not by way of numbers, which cannot hold the largest int64, a common end of slices.
  if (only?.name === 'value_ints') return int64Tensor(name, only.ints);
  return only?.name === 'value_floats' ? floatTensor(name, only.floats) : undefined;
}

/**
 * Ops whose value differs from run to run, or that say nothing without running the model; and those
 * that say how a constant was quantized, which its value alone does not.
 */
const NEVER_FOLDED =
  /^(Random|Multinomial|Bernoulli)|Optional|Sequence|^If$|^Loop$|^Scan$|[Qq]uantizeLinear$|Quant$/;

/** Ops that blow a small constant up; left to the runtime, which makes it when it is needed. */
const GROWS = new Set(['Expand', 'Tile', 'ConstantOfShape', 'Range', 'OneHot', 'EyeLike']);

/** A small model that computes the constant part of a graph; its outputs replace that part. */
export interface ConstantPart {
  readonly proto: ModelProto;
  readonly nodes: ReadonlySet<NodeProto>;
  readonly outputs: readonly string[];
}

/**
 * The nodes of `graph` that depend on constants alone. `outer` holds the constants of the graphs
 * around a body. Undefined when there is nothing to compute.
 */
export function constantPart(
  model: ModelProto,
  graph: GraphProto,
  outer: ReadonlyMap<string, TensorProto>,
): ConstantPart | undefined {
  const constants = new Map([...outer, ...indexGraph(graph).initializers]);
  const known = new Set(constants.keys());
  const nodes = new Set<NodeProto>();
  for (const node of graph.node) {
    if (!isFoldable(node, known)) continue;
    nodes.add(node);
    for (const name of node.output) known.add(name);
  }
  if (nodes.size === 0) return undefined;
  const outputs = frontier(graph, nodes);
  if (outputs.length === 0) return undefined;
  return { proto: constantModel(model, nodes, constants, outputs), nodes, outputs };
}

/** Two parts that can be computed apart from each other; one where everything hangs together. */
export function splitPart({ proto, nodes, outputs }: ConstantPart): readonly ConstantPart[] {
  const { graph } = proto;
  if (graph === undefined) return [];
  const groups = connected(nodes);
  const middle = Math.ceil(groups.length / 2);
  const halves = [groups.slice(0, middle), groups.slice(middle)].filter(({ length }) => length > 0);
  return halves.map((half) => {
    const members = new Set(half.flatMap((group) => [...group]));
    // In the order of the graph: a node stands behind those that it reads from.
    const group = new Set([...nodes].filter((node) => members.has(node)));
    const made = new Set([...group].flatMap(({ output }) => output));
    const own = outputs.filter((name) => made.has(name));
    const constants = new Map(graph.initializer.map((tensor) => [tensor.name ?? '', tensor]));
    return { proto: constantModel(proto, group, constants, own), nodes: group, outputs: own };
  });
}

/** Groups of nodes that read what another one of the group makes. */
function connected(nodes: ReadonlySet<NodeProto>): ReadonlySet<NodeProto>[] {
  const groupOf = new Map<string, Set<NodeProto>>();
  const groups = new Set<Set<NodeProto>>();
  for (const node of nodes) {
    const group = new Set([node]);
    groups.add(group);
    for (const name of node.input) {
      const other = groupOf.get(name);
      if (other === undefined || other === group) continue;
      groups.delete(other);
      for (const one of other) {
        group.add(one);
        for (const output of one.output) groupOf.set(output, group);
      }
    }
    for (const output of node.output) if (output !== '') groupOf.set(output, group);
  }
  return [...groups];
}

function isFoldable(node: NodeProto, known: ReadonlySet<string>): boolean {
  const op = opName(node);
  if (NEVER_FOLDED.test(op) || GROWS.has(op) || subgraphsOf(node).length > 0) return false;
  return node.input.length > 0 && node.input.every((name) => name === '' || known.has(name));
}

/** Tensors made inside `nodes` and read outside. */
function frontier(graph: GraphProto, nodes: ReadonlySet<NodeProto>): string[] {
  const read = new Set(graph.output.map(({ name }) => name ?? ''));
  for (const node of graph.node) {
    if (!nodes.has(node)) for (const name of usedNames(node)) read.add(name);
  }
  return [...nodes].flatMap(({ output }) => output.filter((name) => name !== '' && read.has(name)));
}

function constantModel(
  model: ModelProto,
  nodes: ReadonlySet<NodeProto>,
  constants: ReadonlyMap<string, TensorProto>,
  outputs: readonly string[],
): ModelProto {
  const needed = new Set([...nodes].flatMap(({ input }) => input));
  const graph: GraphProto = {
    name: 'constants',
    node: [...nodes],
    initializer: [...constants].filter(([name]) => needed.has(name)).map(([, tensor]) => tensor),
    input: [],
    output: outputs.map((name) => ({ name })),
    valueInfo: [],
    quantizationAnnotation: [],
    sparseInitializer: [],
  };
  return { ...model, graph, metadataProps: [] };
}

/** The graph with its constant part replaced by computed values; unchanged where one is missing. */
export function withConstants(
  graph: GraphProto,
  part: ConstantPart,
  values: ReadonlyMap<string, TensorProto>,
): GraphProto {
  if (part.outputs.some((name) => !values.has(name))) return graph;
  const { outputs } = indexGraph(graph);
  const unique = nameMaker(graph);
  const edit = newEdit();
  for (const node of part.nodes) edit.replace.set(node, []);
  const identities: NodeProto[] = [];
  for (const [name, tensor] of values) {
    if (!outputs.has(name)) edit.initializers.set(name, { ...tensor, name });
    else {
      // An output must be made by a node; its other readers see the initializer.
      const value = unique(`${name}_value`);
      edit.initializers.set(value, { ...tensor, name: value });
      edit.rename.set(name, value);
      identities.push(namelessNode('Identity', [value], [name]));
    }
  }
  const folded = applyEdit(graph, edit);
  return identities.length === 0 ? folded : { ...folded, node: [...identities, ...folded.node] };
}
