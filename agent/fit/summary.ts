import type { Facts, Precision } from '../contracts/facts.ts';
import type { GraphProto, NodeProto } from '../model/onnx/generated/messages.ts';
import { allNodes, opName, tensorAttribute } from '../model/onnx/graph.ts';
import type { OnnxModel } from '../model/onnx/open.ts';
import type { Model } from '../model/open.ts';
import { DataType, byteLength } from '../model/onnx/tensor.ts';
import { isQuantized } from '../quantize/onnx/recognize.ts';
import { fastestActivations, isConvertible } from './make/already-quantized.ts';
import { summarizeTflite } from './summary-tflite.ts';
import type { ModelSummary } from './types.ts';

const RECURRENT = ['LSTM', 'GRU', 'RNN'];
const FLOAT_TYPES: readonly number[] = [DataType.FLOAT, DataType.FLOAT16, DataType.DOUBLE];

interface FileFacts {
  readonly name: string;
  readonly bytes: number;
}

/** What planning needs to know about a model; looks into control-flow bodies too. */
export function summarize(
  model: Model,
  file: FileFacts,
  /** Without it nobody looks whether a quantized model can be converted. */
  cpu?: Pick<Facts['cpu'], 'arch'>,
): ModelSummary {
  return model.format === 'tflite' ? summarizeTflite(model, file) : summarizeOnnx(model, file, cpu);
}

function summarizeOnnx(
  model: OnnxModel,
  file: FileFacts,
  cpu: Pick<Facts['cpu'], 'arch'> | undefined,
): ModelSummary {
  const nodes = [...allNodes(model.graph)];
  const opCounts = new Map<string, number>();
  for (const node of nodes) opCounts.set(opName(node), (opCounts.get(opName(node)) ?? 0) + 1);
  const weights = weightTypes(model.graph, nodes);
  const alreadyQuantized = isQuantized(model);
  return {
    name: file.name,
    format: 'onnx',
    bytes: file.bytes,
    opCounts,
    weightBytes: [...weights.values()].reduce((sum, bytes) => sum + bytes, 0),
    hasRecurrent: RECURRENT.some((op) => opCounts.has(op)),
    hasConv: opCounts.has('Conv'),
    hasMatMul: hasConstantProduct(model.graph, nodes),
    alreadyQuantized,
    convertible:
      cpu !== undefined && isConvertible(model, { activations: fastestActivations(cpu) }),
    precision: alreadyQuantized ? 'int8' : precisionOf(weights),
    floatInputs: model.graph.input
      .filter(({ type }) => FLOAT_TYPES.includes(type?.tensorType?.elemType ?? 0))
      .map(({ name }) => name ?? ''),
  };
}

/** Bytes of constants by element type, Constant nodes and bodies included. */
function weightTypes(graph: GraphProto, nodes: readonly NodeProto[]): Map<number, number> {
  const bytes = new Map<number, number>();
  const constants = nodes.flatMap((node) => tensorAttribute(node, 'value') ?? []);
  for (const { dataType = 0, dims } of [...initializersOf(graph), ...constants]) {
    bytes.set(dataType, (bytes.get(dataType) ?? 0) + byteLength(dataType, dims));
  }
  return bytes;
}

function* initializersOf(graph: GraphProto): Generator<GraphProto['initializer'][number]> {
  yield* graph.initializer;
  for (const node of graph.node) {
    for (const { g } of node.attribute) if (g !== undefined) yield* initializersOf(g);
  }
}

function precisionOf(weights: ReadonlyMap<number, number>): Precision {
  const half = weights.get(DataType.FLOAT16) ?? 0;
  return half > (weights.get(DataType.FLOAT) ?? 0) ? 'fp16' : 'fp32';
}

/** A MatMul or Gemm one of whose factors is not computed from the input. */
function hasConstantProduct(graph: GraphProto, nodes: readonly NodeProto[]): boolean {
  const constant = new Set([...initializersOf(graph)].map(({ name }) => name ?? ''));
  for (const node of nodes) {
    const known = node.input.every((name) => name === '' || constant.has(name));
    if (known) for (const name of node.output) constant.add(name);
  }
  return nodes.some(
    (node) => ['MatMul', 'Gemm'].includes(opName(node)) && constant.has(node.input[1] ?? ''),
  );
}
