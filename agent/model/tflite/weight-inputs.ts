import type { BuiltinOperator, TfliteGraph, TfliteOperator } from './types.ts';
import { optionsOf } from './types.ts';

/** Which inputs of an operator are weights, and along which axis its output channels lie in them. */
export interface WeightInput {
  readonly position: number;
  readonly axis: number;
}

const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

const atAxis = (axis: number, ...positions: readonly number[]): readonly WeightInput[] =>
  positions.map((position) => ({ position, axis }));

/**
 * The order of inputs is that of the kernels (tensorflow/lite/kernels). Of an LSTM: input weights 1-4,
 * recurrent ones 5-8, peepholes 9-11, projection 16; the others are biases, states and norms.
 */
const WEIGHTS = new Map<BuiltinOperator, readonly WeightInput[]>([
  ['CONV_2D', atAxis(0, 1)],
  ['DEPTHWISE_CONV_2D', atAxis(3, 1)],
  ['TRANSPOSE_CONV', atAxis(0, 1)],
  ['CONV_3D', atAxis(4, 1)],
  ['CONV_3D_TRANSPOSE', atAxis(3, 1)],
  ['FULLY_CONNECTED', atAxis(0, 1)],
  ['EMBEDDING_LOOKUP', atAxis(0, 1)],
  ['GATHER', atAxis(0, 0)],
  ['SVDF', atAxis(0, 1, 2)],
  ['RNN', atAxis(0, 1, 2)],
  ['UNIDIRECTIONAL_SEQUENCE_RNN', atAxis(0, 1, 2)],
  ['BIDIRECTIONAL_SEQUENCE_RNN', atAxis(0, 1, 2, 5, 6, 10, 11)],
  ['LSTM', atAxis(0, ...range(1, 11), 16)],
  ['UNIDIRECTIONAL_SEQUENCE_LSTM', atAxis(0, ...range(1, 11), 16)],
  [
    'BIDIRECTIONAL_SEQUENCE_LSTM',
    atAxis(0, ...range(1, 11), 16, ...range(18, 28), 33, ...range(40, 47)),
  ],
]);

/** The positions of weights, whether or not this operator has something there. */
export function weightInputs(graph: TfliteGraph, operator: TfliteOperator): readonly WeightInput[] {
  if (operator.op !== 'BATCH_MATMUL') return WEIGHTS.get(operator.op) ?? [];
  // The right factor is [..., depth, columns], or [..., columns, depth] with adj_y.
  const rank = graph.tensors[operator.inputs[1] ?? -1]?.shape.length ?? 0;
  const transposed = optionsOf(operator, 'BatchMatMulOptions')?.adjY === true;
  return atAxis(Math.max(rank - (transposed ? 2 : 1), 0), 1);
}
