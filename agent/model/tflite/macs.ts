import { allOperators } from './calls.ts';
import { inputTensor, outputTensor } from './graph.ts';
import { numericKind } from './numeric-kind.ts';
import { elementCount } from './tensor.ts';
import type { BuiltinOperator, TfliteGraph, TfliteModel, TfliteOperator } from './types.ts';
import { optionsOf } from './types.ts';
import { weightInputs } from './weight-inputs.ts';

/*
 * Multiply-accumulates by the shapes in the file: TFLite's C library has no profile. Operators that
 * are not in the table make none that count (element-wise, pooling, moving). Bodies of control flow
 * count once, however often they run.
 */

type Counter = (graph: TfliteGraph, operator: TfliteOperator) => number;

const MACS = new Map<BuiltinOperator, Counter>([
  // Every output value takes one filter.
  ['CONV_2D', (graph, one) => outputSize(graph, one) * filterSize(graph, one, 0)],
  ['CONV_3D', (graph, one) => outputSize(graph, one) * filterSize(graph, one, 4)],
  ['DEPTHWISE_CONV_2D', (graph, one) => outputSize(graph, one) * filterSize(graph, one, 3)],
  // Every input value is spread by one filter; the input channels are the last axis of the weights.
  ['TRANSPOSE_CONV', (graph, one) => inputSize(graph, one, 2) * filterSize(graph, one, 3)],
  ['CONV_3D_TRANSPOSE', (graph, one) => inputSize(graph, one, 2) * filterSize(graph, one, 4)],
  // Weights [outputs, depth].
  ['FULLY_CONNECTED', (graph, one) => outputSize(graph, one) * axis(graph, one, 1, -1)],
  ['BATCH_MATMUL', batchMatMul],
  ['SVDF', (graph, one) => axis(graph, one, 0, 0) * weightSize(graph, one)],
  ['RNN', (graph, one) => axis(graph, one, 0, 0) * weightSize(graph, one)],
  ['LSTM', (graph, one) => axis(graph, one, 0, 0) * weightSize(graph, one)],
  ['UNIDIRECTIONAL_SEQUENCE_RNN', perStep],
  ['BIDIRECTIONAL_SEQUENCE_RNN', perStep],
  ['UNIDIRECTIONAL_SEQUENCE_LSTM', perStep],
  ['BIDIRECTIONAL_SEQUENCE_LSTM', perStep],
]);

/** Multiply-accumulates of one run of an operator, per sample of the batch that the file declares. */
export function macsOf(graph: TfliteGraph, operator: TfliteOperator): number {
  return MACS.get(operator.op)?.(graph, operator) ?? 0;
}

export interface IntegerCoverage {
  readonly integerMacs: number;
  readonly totalMacs: number;
  /** Share in integer kernels; null where none are made, or some are hidden in custom operators. */
  readonly coverage: number | null;
}

/** Hybrid kernels, which quantize their activations while they run, multiply integers, too. */
export function integerCoverage(model: TfliteModel): IntegerCoverage {
  let integerMacs = 0;
  let totalMacs = 0;
  let hidden = false;
  for (const { operator, subgraph } of allOperators(model)) {
    const graph = model.subgraphs[subgraph];
    if (graph === undefined) continue;
    const macs = macsOf(graph, operator);
    totalMacs += macs;
    if (['integer', 'hybrid'].includes(numericKind(graph, operator))) integerMacs += macs;
    if (operator.op === 'CUSTOM' && !MOVING.has(operator.customCode ?? '')) hidden = true;
  }
  const known = totalMacs > 0 && !hidden;
  return { integerMacs, totalMacs, coverage: known ? integerMacs / totalMacs : null };
}

/** Custom operators that are known to multiply nothing that counts. */
const MOVING: ReadonlySet<string> = new Set(['TFLite_Detection_PostProcess']);

function size(shape: readonly number[] | undefined): number {
  return shape === undefined ? 0 : Math.max(elementCount(shape), 0);
}

function outputSize(graph: TfliteGraph, operator: TfliteOperator): number {
  return size(outputTensor(graph, operator)?.shape);
}

function inputSize(graph: TfliteGraph, operator: TfliteOperator, position: number): number {
  return size(inputTensor(graph, operator, position)?.shape);
}

function axis(
  graph: TfliteGraph,
  operator: TfliteOperator,
  position: number,
  index: number,
): number {
  return inputTensor(graph, operator, position)?.shape.at(index) ?? 0;
}

/** Weights for one index along an axis. */
function filterSize(graph: TfliteGraph, operator: TfliteOperator, along: number): number {
  return inputSize(graph, operator, 1) / (axis(graph, operator, 1, along) || 1);
}

/** [..., rows, depth] times [..., depth, columns]; with adj_x [..., depth, rows]. */
function batchMatMul(graph: TfliteGraph, operator: TfliteOperator): number {
  const transposed = optionsOf(operator, 'BatchMatMulOptions')?.adjX === true;
  return outputSize(graph, operator) * axis(graph, operator, 0, transposed ? -2 : -1);
}

/** All weights together: each is used once for every sample and step. */
function weightSize(graph: TfliteGraph, operator: TfliteOperator): number {
  return weightInputs(graph, operator).reduce(
    (sum, { position }) => sum + inputSize(graph, operator, position),
    0,
  );
}

/** Input [steps, batch, values], or [batch, steps, values]. */
function perStep(graph: TfliteGraph, operator: TfliteOperator): number {
  const steps = axis(graph, operator, 0, 0) * axis(graph, operator, 0, 1);
  return steps * weightSize(graph, operator);
}
