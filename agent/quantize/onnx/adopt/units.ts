import type { GraphProto, NodeProto } from '../../../model/onnx/generated/messages.ts';
import { indexGraph, opName } from '../../../model/onnx/graph.ts';
import type { GraphIndex } from '../../../model/onnx/graph.ts';
import { OP_TABLE, isWeighted, whyFloat } from '../op-table.ts';
import { isDequantize, isQuantize } from './params.ts';

/** Kernels that give float numbers from integers; Conv has none. */
const FLOAT_OUTPUT: ReadonlySet<string> = new Set(['Gemm', 'MatMul']);
const CLAMPS: ReadonlySet<string> = new Set(['Relu', 'Clip']);

/** Ops with an integer kernel that the quantizer itself does not ask for. */
const ALSO: ReadonlyMap<string, readonly number[]> = new Map([
  ['Softmax', [0]],
  ['ReduceMean', [0]],
  ['Where', [1, 2]],
]);

/** Why the runtime computes a node of a graph in QDQ form in float; undefined where it does not. */
export function whyNotInteger(node: NodeProto, index: GraphIndex): string | undefined {
  const op = opName(node);
  const obstacle = inputObstacle(node, index);
  if (obstacle !== undefined) return obstacle;
  if (FLOAT_OUTPUT.has(op) || node.output.every((name) => isQuantized(name, index))) {
    return undefined;
  }
  return 'its output is not quantized in this model';
}

/** Whether an op would run in an integer kernel if its output were quantized. */
export function hasIntegerKernel(node: NodeProto, index: GraphIndex): boolean {
  return inputObstacle(node, index) === undefined;
}

function inputObstacle(node: NodeProto, index: GraphIndex): string | undefined {
  const op = opName(node);
  const data = OP_TABLE.get(op)?.data ?? ALSO.get(op);
  if (data === undefined) return whyFloat(op);
  const positions = data === 'all' ? node.input.map((_, i) => i) : data;
  const inputs = [...positions, ...(isWeightedOp(op) ? [1] : [])];
  const quantized = inputs.every((i) => isDequantize(index.producer.get(node.input[i] ?? '')));
  return quantized ? undefined : 'not all of its inputs are quantized in this model';
}

/** Read by one QuantizeLinear and nothing else; a clamp may stand between. */
function isQuantized(name: string, index: GraphIndex): boolean {
  const [reader, ...others] = index.consumers.get(name) ?? [];
  if (reader === undefined || others.length > 0 || index.outputs.has(name)) return false;
  if (isQuantize(reader)) return true;
  return CLAMPS.has(opName(reader)) && isQuantized(reader.output[0] ?? '', index);
}

function isWeightedOp(op: string): boolean {
  const rule = OP_TABLE.get(op);
  return rule !== undefined && isWeighted(rule);
}

/** Every node that multiplies with weights and the runtime would compute in float. */
export function floatProducts(graph: GraphProto): readonly NodeProto[] {
  const index = indexGraph(graph);
  return graph.node.filter((node) => {
    const op = opName(node);
    const multiplies = isWeightedOp(op) || op === 'ConvTranspose';
    return multiplies && whyNotInteger(node, index) !== undefined;
  });
}
