import type { Scheme } from '../../../contracts/scheme.ts';
import type { GraphProto, NodeProto } from '../../../model/onnx/generated/messages.ts';
import { indexGraph, nodeLabel, opName, subgraphsOf } from '../../../model/onnx/graph.ts';
import type { GraphIndex } from '../../../model/onnx/graph.ts';
import type { Statistics } from '../../../model/statistics.ts';
import { symmetricParams } from '../../arithmetic.ts';
import type { QuantParams } from '../../arithmetic.ts';
import type { OpReport } from '../../report.ts';
import { isExcluded } from '../excluded.ts';
import { obstacle } from '../obstacles.ts';
import { OP_TABLE, isWeighted } from '../op-table.ts';

/** A node that TensorRT shall run in INT8: which of its inputs are activations to quantize. */
export interface TensorRtUnit {
  readonly node: NodeProto;
  readonly weighted: boolean;
  /** Positions of the inputs that get a pair of QuantizeLinear and DequantizeLinear. */
  readonly inputs: readonly number[];
}

export interface TensorRtPlan {
  readonly units: ReadonlyMap<NodeProto, TensorRtUnit>;
  /** Symmetric scales, one per tensor. */
  readonly params: ReadonlyMap<string, QuantParams>;
  readonly rows: readonly OpReport[];
}

const POOLS: readonly string[] = ['AveragePool', 'GlobalAveragePool'];
/** What TensorRT fuses into the layer in front of it, or moves quantization across. */
const FOLLOWS: readonly string[] = ['Relu', 'Clip', 'MaxPool', 'Reshape', 'Flatten', 'Transpose'];

interface Context {
  readonly index: GraphIndex;
  readonly statistics: Statistics;
  readonly scheme: Scheme;
}

/**
 * What explicit quantization says to TensorRT: inputs of convolutions and products, of average pools
 * behind them, and of additions that join branches. Outputs are not quantized: TensorRT fuses a layer,
 * its activation and the quantization in front of the next layer into one INT8 kernel by itself.
 */
export function planTensorRt(
  graph: GraphProto,
  statistics: Statistics,
  scheme: Scheme,
): TensorRtPlan {
  const context = { index: indexGraph(graph), statistics, scheme };
  const found = new Map<NodeProto, TensorRtUnit | string>();
  for (const node of graph.node) {
    if (isWeightedOp(node)) found.set(node, weightedUnit(node, context));
  }
  for (const node of graph.node) {
    if (!found.has(node)) found.set(node, otherUnit(node, found, context));
  }
  const units = new Map<NodeProto, TensorRtUnit>();
  for (const [node, unit] of found) if (typeof unit === 'object') units.set(node, unit);
  return {
    units,
    params: paramsOf(units, statistics),
    rows: graph.node.flatMap((node) => [rowOf(node, found, context), ...bodyRows(node)]),
  };
}

function isWeightedOp(node: NodeProto): boolean {
  const rule = OP_TABLE.get(opName(node));
  return rule !== undefined && isWeighted(rule);
}

function weightedUnit(node: NodeProto, context: Context): TensorRtUnit | string {
  const rule = OP_TABLE.get(opName(node));
  if (rule === undefined) return 'left as it is';
  const problem = obstacle(node, rule, context.index) ?? commonProblem(node, [0], context);
  return problem ?? { node, weighted: true, inputs: [0] };
}

function otherUnit(
  node: NodeProto,
  found: ReadonlyMap<NodeProto, TensorRtUnit | string>,
  context: Context,
): TensorRtUnit | string {
  const inputs = inputsOf(node, found, context);
  if (inputs.length === 0) return 'no layer that computes in INT8';
  const problem = commonProblem(node, inputs, context);
  return problem ?? { node, weighted: false, inputs };
}

/** Of an addition the branch that skips layers; the other one TensorRT adds inside the convolution. */
function inputsOf(
  node: NodeProto,
  found: ReadonlyMap<NodeProto, TensorRtUnit | string>,
  { index }: Context,
): readonly number[] {
  const activations = node.input.flatMap((name, at) =>
    name === '' || index.initializers.has(name) ? [] : [at],
  );
  const makers = activations.map((at) => index.producer.get(node.input[at] ?? ''));
  const isInteger = (maker: NodeProto | undefined) =>
    maker !== undefined && typeof found.get(maker) === 'object';
  if (POOLS.includes(opName(node))) {
    const source = sourceOf(node.input[0] ?? '', index);
    return isInteger(source) ? [0] : [];
  }
  if (opName(node) !== 'Add' || activations.length !== 2 || !makers.some(isInteger)) return [];
  const fused = makers.findIndex(
    (maker, i) =>
      isInteger(maker) && readersOf(node.input[activations[i] ?? 0] ?? '', index).length === 1,
  );
  return activations.filter((_, i) => i !== fused);
}

const readersOf = (name: string, index: GraphIndex) => index.consumers.get(name) ?? [];

/** The layer that a tensor comes from, across what TensorRT fuses or moves quantization across. */
function sourceOf(name: string, index: GraphIndex): NodeProto | undefined {
  let maker = index.producer.get(name);
  while (maker !== undefined && FOLLOWS.includes(opName(maker))) {
    maker = index.producer.get(maker.input[0] ?? '');
  }
  return maker;
}

function commonProblem(
  node: NodeProto,
  inputs: readonly number[],
  { index, statistics, scheme }: Context,
): string | undefined {
  if (isExcluded(scheme, node)) return 'excluded by request';
  for (const at of inputs) {
    const name = node.input[at] ?? '';
    if (index.initializers.has(name)) return 'computes on constants only';
    if (largestOf(name, statistics) === undefined) return `no finite range was seen for '${name}'`;
  }
  return undefined;
}

function largestOf(name: string, { tensors }: Statistics): number | undefined {
  const seen = tensors.get(name);
  if (seen?.dtype !== 'float32') return undefined;
  const largest = Math.max(Math.abs(seen.min), Math.abs(seen.max));
  return Number.isFinite(largest) ? largest : undefined;
}

function paramsOf(
  units: ReadonlyMap<NodeProto, TensorRtUnit>,
  statistics: Statistics,
): ReadonlyMap<string, QuantParams> {
  const params = new Map<string, QuantParams>();
  for (const { node, inputs } of units.values()) {
    for (const at of inputs) {
      const name = node.input[at] ?? '';
      params.set(name, symmetricParams(largestOf(name, statistics) ?? 0, 's8'));
    }
  }
  return params;
}

function rowOf(
  node: NodeProto,
  found: ReadonlyMap<NodeProto, TensorRtUnit | string>,
  { index }: Context,
): OpReport {
  const row = { node: nodeLabel(node), op: opName(node) };
  const unit = found.get(node);
  if (typeof unit === 'object') return { ...row, precision: 'integer' };
  const source = sourceOf(node.input[0] ?? '', index);
  const follows = FOLLOWS.includes(row.op) && source !== undefined;
  if (follows && typeof found.get(source) === 'object') return { ...row, precision: 'integer' };
  return { ...row, precision: 'float', reason: unit ?? 'left as it is' };
}

function bodyRows(node: NodeProto): readonly OpReport[] {
  return subgraphsOf(node).flatMap((body) =>
    body.node.flatMap((inner): OpReport[] => [
      {
        node: nodeLabel(inner),
        op: opName(inner),
        precision: 'float',
        reason: 'inside control flow, which is not quantized for TensorRT',
      },
      ...bodyRows(inner),
    ]),
  );
}
