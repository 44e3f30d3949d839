import type { GraphIndex } from '../../../model/tflite/graph.ts';
import { floatData } from '../../../model/tflite/tensor.ts';
import { optionsOf } from '../../../model/tflite/types.ts';
import type { TfliteGraph, TfliteOperator } from '../../../model/tflite/types.ts';

/** Recurrent layers with integer kernels, as TensorFlow Lite 2.9 has them. */
export type Recurrent = 'lstm' | 'svdf';

/**
 * Positions among the inputs of an LSTM (tensorflow/lite/kernels/lstm_shared.h); lists are by gate:
 * input, forget, cell, output.
 */
export const LSTM = {
  input: 0,
  weights: [1, 2, 3, 4],
  recurrent: [5, 6, 7, 8],
  peepholes: [9, 10, 11],
  biases: [12, 13, 14, 15],
  projection: [16, 17],
  hidden: 18,
  cell: 19,
  norms: [20, 21, 22, 23],
} as const;

/** Positions among the inputs of an SVDF (tensorflow/lite/kernels/svdf.cc). */
export const SVDF = { input: 0, feature: 1, time: 2, bias: 3, state: 4 } as const;

type Where = Pick<GraphIndex, 'constants'>;

/** Why an operator gets no integers, whatever its values are. */
export function whyNotRecurrent(
  kind: Recurrent,
  operator: TfliteOperator,
  graph: TfliteGraph,
  index: Where,
): string | undefined {
  const reason = kind === 'lstm' ? whyNotLstm(operator) : whyNotSvdf(operator);
  return reason ?? oddShape(kind, operator, graph) ?? oddConstants(kind, operator, index);
}

/** What an LSTM may have besides gates: each would take scales of its own. */
const EXTRAS: readonly (readonly [readonly number[], string])[] = [
  [LSTM.peepholes, 'it has peepholes, and int16 weights for these are not made'],
  [LSTM.projection, 'it has a projection, and the scales inside of it are not made'],
  [LSTM.norms, 'it has layer normalization, and the four scales inside of it are not made'],
];

function whyNotLstm(operator: TfliteOperator): string | undefined {
  const extra = EXTRAS.find(([positions]) => positions.some((at) => isGiven(operator, at)));
  if (extra !== undefined) return extra[1];
  const options = optionsOf(operator, 'UnidirectionalSequenceLSTMOptions');
  if (options?.fusedActivationFunction !== 'TANH') {
    return `its integer kernel knows no other activation than TANH, and this has ${options?.fusedActivationFunction ?? 'NONE'}`;
  }
  return options.diagonalRecurrentTensors
    ? 'its recurrent weights are diagonal, which no integer kernel takes'
    : undefined;
}

function whyNotSvdf(operator: TfliteOperator): string | undefined {
  const activation = optionsOf(operator, 'SVDFOptions')?.fusedActivationFunction ?? 'NONE';
  return activation === 'RELU'
    ? undefined
    : `its integer kernel knows no other activation than RELU, and this has ${activation}`;
}

export function isGiven({ inputs }: TfliteOperator, position: number): boolean {
  return (inputs[position] ?? -1) >= 0;
}

/** Without an input gate, that is one minus the forget gate (CIFG). */
export function gatesOf(operator: TfliteOperator): readonly number[] {
  return [0, 1, 2, 3].filter((gate) => isGiven(operator, LSTM.weights[gate] ?? -1));
}

/** The constants that become integers. */
export function constantsOf(kind: Recurrent, operator: TfliteOperator): readonly number[] {
  const places =
    kind === 'lstm'
      ? gatesOf(operator).flatMap((gate) =>
          [LSTM.weights, LSTM.recurrent, LSTM.biases].flatMap((list) => list[gate] ?? []),
        )
      : [SVDF.feature, SVDF.time, ...(isGiven(operator, SVDF.bias) ? [SVDF.bias] : [])];
  return places;
}

/** The tensors kept from one run to the next. */
export function statesOf(kind: Recurrent): readonly number[] {
  return kind === 'lstm' ? [LSTM.hidden, LSTM.cell] : [SVDF.state];
}

function oddShape(
  kind: Recurrent,
  operator: TfliteOperator,
  { tensors }: TfliteGraph,
): string | undefined {
  const input = tensors[operator.inputs[0] ?? -1];
  if (input?.shape.length !== (kind === 'lstm' ? 3 : 2)) return 'its input has an unusual rank';
  if (input.shapeSignature?.some((size) => size < 0) === true) {
    return 'the file leaves the length of its sequences, or of its batch, open';
  }
  const isKept = (position: number) => {
    const state = tensors[operator.inputs[position] ?? -1];
    return state?.isVariable === true && state.type === 'FLOAT32';
  };
  return statesOf(kind).every(isKept) ? undefined : 'its state is no variable of floats';
}

function oddConstants(
  kind: Recurrent,
  operator: TfliteOperator,
  { constants }: Where,
): string | undefined {
  for (const position of constantsOf(kind, operator)) {
    const tensor = constants.get(operator.inputs[position] ?? -1);
    if (tensor === undefined) return 'not all of its weights and biases are constants';
    const isPlain = tensor.type === 'FLOAT32' && tensor.sparsity === undefined;
    if (!isPlain || tensor.data === null) return `its ${tensor.name} cannot be read`;
    if (!floatData(tensor).every(Number.isFinite)) return `its ${tensor.name} is not finite`;
  }
  return undefined;
}
