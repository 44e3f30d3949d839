import type { GraphProto, NodeProto, TensorProto, ValueInfoProto } from './generated/messages.ts';
import { allNodes, indexGraph, nodeLabel, opName, subgraphsOf, tensorAttribute } from './graph.ts';
import type { GraphIndex } from './graph.ts';
import { formOfModel } from './integer-ops.ts';
import type { QuantizedForm } from './integer-ops.ts';
import type { OnnxModel } from './open.ts';
import { byteLength, dataTypeName, elementCount } from './tensor.ts';

export interface ValueContent {
  readonly name: string;
  readonly dtype: string;
  /** A string is a symbolic size, null an unnamed one; the whole shape is null when undeclared. */
  readonly shape: readonly (number | string | null)[] | null;
}

export interface OpContent {
  readonly op: string;
  readonly nodes: number;
  /** Of the constants that these nodes are the first to read. */
  readonly parameters: number;
  readonly parameterBytes: number;
}

export interface LayerContent extends Omit<OpContent, 'nodes'> {
  readonly node: string;
}

/** What is in a model file, without running it; control-flow bodies are counted, too. */
export interface ModelContents {
  readonly irVersion: number;
  readonly opsets: readonly { readonly domain: string; readonly version: number }[];
  readonly producer: string;
  readonly inputs: readonly ValueContent[];
  readonly outputs: readonly ValueContent[];
  /** Constants by element type, the largest first. */
  readonly parameters: readonly { dtype: string; count: number; bytes: number }[];
  /** The ops with most parameter bytes first, then those with most nodes. */
  readonly ops: readonly OpContent[];
  /** Nodes with parameters, the heaviest first. */
  readonly layers: readonly LayerContent[];
  readonly form: QuantizedForm | null;
}

interface Parameter {
  readonly tensor: TensorProto;
  /** The first node that computes with it; undefined where nobody reads it. */
  readonly reader: NodeProto | undefined;
}

export function contentsOf({ proto, graph }: OnnxModel): ModelContents {
  const parameters = [...parametersOf(graph)];
  const nodes = [...allNodes(graph)];
  const stored = new Set(graph.initializer.map(({ name }) => name));
  return {
    irVersion: proto.irVersion ?? 0,
    opsets: proto.opsetImport.map(({ domain = '', version = 0 }) => ({
      domain: domain === '' ? 'ai.onnx' : domain,
      version,
    })),
    producer: [proto.producerName ?? '', proto.producerVersion ?? ''].join(' ').trim(),
    inputs: graph.input.filter(({ name }) => !stored.has(name)).map(valueOf),
    outputs: graph.output.map(valueOf),
    parameters: byType(parameters),
    ops: byOp(nodes, parameters),
    layers: byNode(parameters),
    form: formOfModel(nodes.map(opName)),
  };
}

function valueOf({ name = '', type }: ValueInfoProto): ValueContent {
  const dims = type?.tensorType?.shape?.dim;
  return {
    name,
    dtype: dataTypeName(type?.tensorType?.elemType ?? 0),
    shape: dims?.map(({ dimValue, dimParam }) => dimValue ?? dimParam ?? null) ?? null,
  };
}

/** Initializers and Constant nodes of a graph and of its bodies. */
function* parametersOf(graph: GraphProto): Generator<Parameter> {
  const index = indexGraph(graph);
  for (const tensor of graph.initializer) {
    yield { tensor, reader: readerOf(tensor.name ?? '', index) };
  }
  for (const node of graph.node) {
    const value = opName(node) === 'Constant' ? tensorAttribute(node, 'value') : undefined;
    if (value !== undefined) {
      yield { tensor: value, reader: readerOf(node.output[0] ?? '', index) };
    }
    for (const body of subgraphsOf(node)) yield* parametersOf(body);
  }
}

/** What only prepares a constant for the node that computes with it. */
const PREPARING = ['DequantizeLinear', 'QuantizeLinear', 'Cast', 'Identity', 'Transpose'];

function readerOf(name: string, index: GraphIndex): NodeProto | undefined {
  const readers = index.consumers.get(name) ?? [];
  const [reader] = readers;
  if (reader === undefined || !PREPARING.includes(reader.opType ?? '')) return reader;
  // Only the tensor itself is handed on: its scale and zero point belong to the preparing node.
  if (reader.input[0] !== name) return reader;
  return readerOf(reader.output[0] ?? '', index) ?? reader;
}

function byType(parameters: readonly Parameter[]): ModelContents['parameters'] {
  const found = new Map<string, { dtype: string; count: number; bytes: number }>();
  for (const { tensor } of parameters) {
    const dtype = dataTypeName(tensor.dataType ?? 0);
    const entry = found.get(dtype) ?? { dtype, count: 0, bytes: 0 };
    found.set(dtype, {
      dtype,
      count: entry.count + elementCount(tensor.dims),
      bytes: entry.bytes + byteLength(tensor.dataType ?? 0, tensor.dims),
    });
  }
  return [...found.values()].toSorted((a, b) => b.bytes - a.bytes);
}

function byOp(nodes: readonly NodeProto[], parameters: readonly Parameter[]): OpContent[] {
  const found = new Map<string, { nodes: number; parameters: number; parameterBytes: number }>();
  const entry = (op: string) => {
    const one = found.get(op) ?? { nodes: 0, parameters: 0, parameterBytes: 0 };
    found.set(op, one);
    return one;
  };
  for (const node of nodes) entry(opName(node)).nodes++;
  for (const { tensor, reader } of parameters) {
    if (reader === undefined) continue;
    const one = entry(opName(reader));
    one.parameters += elementCount(tensor.dims);
    one.parameterBytes += byteLength(tensor.dataType ?? 0, tensor.dims);
  }
  return [...found]
    .map(([op, one]) => ({ op, ...one }))
    .toSorted((a, b) => b.parameterBytes - a.parameterBytes || b.nodes - a.nodes);
}

function byNode(parameters: readonly Parameter[]): LayerContent[] {
  const found = new Map<NodeProto, { parameters: number; parameterBytes: number }>();
  for (const { tensor, reader } of parameters) {
    if (reader === undefined) continue;
    const one = found.get(reader) ?? { parameters: 0, parameterBytes: 0 };
    one.parameters += elementCount(tensor.dims);
    one.parameterBytes += byteLength(tensor.dataType ?? 0, tensor.dims);
    found.set(reader, one);
  }
  return [...found]
    .map(([node, one]) => ({ node: nodeLabel(node), op: opName(node), ...one }))
    .toSorted((a, b) => b.parameterBytes - a.parameterBytes);
}
