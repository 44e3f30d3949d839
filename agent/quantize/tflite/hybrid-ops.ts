import { inputTensor } from '../../model/tflite/graph.ts';
import { elementCount, isConstant } from '../../model/tflite/tensor.ts';
import { optionsOf } from '../../model/tflite/types.ts';
import type {
  BuiltinOperator,
  TfliteGraph,
  TfliteOperator,
  TfliteTensor,
} from '../../model/tflite/types.ts';
import { weightInputs } from '../../model/tflite/weight-inputs.ts';
import type { WeightInput } from '../../model/tflite/weight-inputs.ts';
import { hasFiniteValues } from './symmetric.ts';

/** TFLite's own quantizer stops here, too: fewer cost more in names and scales than they save. */
export const MIN_ELEMENTS = 1024;

/**
 * What must have so many weights: one matrix of an operator, as TFLite's quantizer asks, or all of them
 * together, as they change together. A recurrent layer of eight small matrices is smaller in 8 bits,
 * and further from float.
 */
export type Counted = 'largest' | 'together';

export const NOT_FINITE = 'its weights are not finite';

/** Operators that compute with float activations and 8-bit weights. */
const HYBRID: ReadonlySet<BuiltinOperator> = new Set<BuiltinOperator>([
  'CONV_2D',
  'DEPTHWISE_CONV_2D',
  'FULLY_CONNECTED',
  'BATCH_MATMUL',
  'EMBEDDING_LOOKUP',
  'GATHER',
  'SVDF',
  'LSTM',
  'UNIDIRECTIONAL_SEQUENCE_LSTM',
  'BIDIRECTIONAL_SEQUENCE_LSTM',
  'RNN',
  'UNIDIRECTIONAL_SEQUENCE_RNN',
  'BIDIRECTIONAL_SEQUENCE_RNN',
]);

/**
 * The weights to store in 8 bits: all of an operator's or none, as its kernel wants them alike. None
 * for an operator that has them so already; or why it stays in float.
 */
export function hybridWeights(
  graph: TfliteGraph,
  operator: TfliteOperator,
  counted: Counted = 'largest',
): readonly WeightInput[] | string {
  const all = weightInputs(graph, operator);
  if (all.length === 0) return 'has no weights to quantize';
  if (!HYBRID.has(operator.op)) {
    return 'TFLite has no kernel for it with 8-bit weights and float activations';
  }
  const present = all.filter(({ position }) => (operator.inputs[position] ?? -1) >= 0);
  const weights = present.flatMap(({ position }) => inputTensor(graph, operator, position) ?? []);
  if (weights.length === 0 || isGatherOfOther(operator, weights))
    return 'has no weights to quantize';
  const problem = problemOf(operator, weights) ?? faultOf(graph, operator);
  if (problem !== undefined) return problem;
  if (weights.every(({ type }) => type === 'INT8')) return [];
  return weights.every(({ type }) => type === 'FLOAT32')
    ? (whyNotWorth(weights, counted) ?? present)
    : `its weights are ${[...new Set(weights.map(({ type }) => type))].join(' and ')}`;
}

/** A GATHER picks from anything; only a table of numbers is weights. */
function isGatherOfOther({ op }: TfliteOperator, weights: readonly TfliteTensor[]): boolean {
  return op === 'GATHER' && !weights.every(isTable);
}

function isTable(tensor: TfliteTensor): boolean {
  return isConstant(tensor) && ['FLOAT32', 'INT8'].includes(tensor.type);
}

function problemOf(
  { options }: TfliteOperator,
  weights: readonly TfliteTensor[],
): string | undefined {
  if (!weights.every(isConstant)) return 'its weights are no constants';
  if (options?.kind === 'LSTMOptions' && options.kernelType === 'BASIC') {
    return 'the basic LSTM has no form with 8-bit weights';
  }
  if (options?.kind === 'FullyConnectedOptions' && options.weightsFormat !== 'DEFAULT') {
    return `its weights are in the order ${options.weightsFormat}`;
  }
  return undefined;
}

/**
 * TFLite 2.9's hybrid BATCH_MATMUL, run and watched with valgrind: with adj_y it sizes a sum per
 * column by the depth and writes behind it, and with two batch axes it mixes up the scales of rows.
 */
function faultOf(graph: TfliteGraph, operator: TfliteOperator): string | undefined {
  if (operator.op !== 'BATCH_MATMUL') return undefined;
  if (optionsOf(operator, 'BatchMatMulOptions')?.adjY !== false) {
    return 'the 8-bit kernel of TFLite 2.9 corrupts memory with transposed weights';
  }
  const batches = inputTensor(graph, operator, 0)?.shape.slice(0, -2) ?? [];
  return batches.filter((size) => size !== 1).length > 1
    ? 'the 8-bit kernel of TFLite 2.9 computes nonsense for more than one batch axis'
    : undefined;
}

function whyNotWorth(weights: readonly TfliteTensor[], counted: Counted): string | undefined {
  const counts = weights.map(({ shape }) => elementCount(shape));
  const count =
    counted === 'largest' ? Math.max(...counts) : counts.reduce((sum, one) => sum + one, 0);
  if (count < MIN_ELEMENTS) return `has fewer than ${MIN_ELEMENTS} weights`;
  if (weights.some(({ data, sparsity }) => data === null || sparsity !== undefined)) {
    return 'its weights are stored sparsely or in another file';
  }
  return weights.every(hasFiniteValues) ? undefined : NOT_FINITE;
}

/** Zero points for activations: with them one-sided values, such as those of a ReLU, use all bits. */
export function withAsymmetricInputs(operator: TfliteOperator): TfliteOperator {
  const { options } = operator;
  if (options === null || !('asymmetricQuantizeInputs' in options)) return operator;
  return { ...operator, options: { ...options, asymmetricQuantizeInputs: true } };
}
