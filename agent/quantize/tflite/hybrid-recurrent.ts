import type { BuiltinOperator, TfliteGraph, TfliteOperator } from '../../model/tflite/types.ts';
import type { WeightInput } from '../../model/tflite/weight-inputs.ts';
import { hybridWeights } from './hybrid-ops.ts';

const RECURRENT: ReadonlySet<BuiltinOperator> = new Set<BuiltinOperator>([
  'LSTM',
  'UNIDIRECTIONAL_SEQUENCE_LSTM',
  'BIDIRECTIONAL_SEQUENCE_LSTM',
  'RNN',
  'UNIDIRECTIONAL_SEQUENCE_RNN',
  'BIDIRECTIONAL_SEQUENCE_RNN',
  'SVDF',
]);

/**
 * The weights of a recurrent layer that becomes hybrid amid integers: nothing outside sees the values
 * inside, so it cannot be calibrated, but with int8 weights its kernel quantizes them as it runs.
 */
export function recurrentWeights(
  graph: TfliteGraph,
  operator: TfliteOperator,
): readonly WeightInput[] {
  if (!RECURRENT.has(operator.op)) return [];
  const found = hybridWeights(graph, operator, 'together');
  return typeof found === 'string' ? [] : found;
}
