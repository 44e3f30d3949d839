import { floatData } from '../../../model/tflite/tensor.ts';
import { makeQuantization, makeTensor, optionsOf } from '../../../model/tflite/types.ts';
import type { TfliteOperator, TfliteTensor } from '../../../model/tflite/types.ts';
import type { QuantParams } from '../../arithmetic.ts';
import { stateScale } from './scales.ts';
import type { Given, IntegerUnit } from '../units.ts';
import { integerLike, storeBias, storeWeights } from './integers.ts';
import type { Form, Stored } from './integers.ts';
import { LSTM, SVDF, gatesOf, isGiven } from './layout.ts';

/** What takes the place of a recurrent operator's inputs, by position, besides its data. */
export interface RecurrentParts {
  readonly constants: ReadonlyMap<number, TfliteTensor>;
  readonly states: ReadonlyMap<number, TfliteTensor>;
  /** The same one may stand in several places. */
  readonly intermediates: readonly TfliteTensor[];
}

export interface Around {
  readonly input: QuantParams;
  readonly output: QuantParams;
}

export function recurrentParts(given: Given, unit: IntegerUnit, around: Around): RecurrentParts {
  return unit.rule.recurrent === 'lstm'
    ? lstmParts(given, unit.operator, around)
    : svdfParts(given, unit.operator, around);
}

/**
 * The integer LSTM of 8-bit weights and a 16-bit cell (tensorflow/lite/kernels, EvalInteger8x8_16).
 * The hidden state is the output of the step before, at its scale; the cell's is a power of two. Of the
 * five tensors that stand for values inside, kernels read the last alone when there is neither layer
 * normalization nor projection: it has the output's scale.
 */
function lstmParts(given: Given, operator: TfliteOperator, { input, output }: Around) {
  const constants = new Map<number, TfliteTensor>();
  for (const gate of gatesOf(operator)) {
    const at = { weights: LSTM.weights[gate] ?? -1, recurrent: LSTM.recurrent[gate] ?? -1 };
    const biasAt = LSTM.biases[gate] ?? -1;
    const bias = tensorOf(given, operator, biasAt);
    const values = floatData(bias);
    const weights = weightsOf(given, operator, at.weights, {
      ...INT8,
      bias: values,
      inputScale: input.scale,
    });
    const recurrent = weightsOf(given, operator, at.recurrent, {
      ...INT8,
      inputScale: output.scale,
    });
    constants.set(at.weights, weights.tensor).set(at.recurrent, recurrent.tensor);
    constants.set(biasAt, storeBias(bias, values, input.scale, weights.scale));
  }
  const hidden = integerLike(tensorOf(given, operator, LSTM.hidden), 'INT8', output.scale);
  const cell = integerLike(
    tensorOf(given, operator, LSTM.cell),
    'INT16',
    stateScale(given, operator, 'lstm'),
  );
  const states = new Map([
    [LSTM.hidden, hidden],
    [LSTM.cell, cell],
  ]);
  return { constants, states, intermediates: intermediatesOf(output) };
}

const INT8 = { type: 'INT8', limit: 127 } as const;

/** One tensor stands for the four that nothing is read from, and the file is smaller for it. */
function intermediatesOf({ scale, zeroPoint }: QuantParams): readonly TfliteTensor[] {
  const gate = makeTensor({ name: 'gate_intermediate', type: 'FLOAT32', shape: [0] });
  const hidden = makeTensor({
    name: 'effective_hidden_scale_intermediate',
    type: 'INT8',
    shape: [0],
    quantization: makeQuantization([scale], [zeroPoint]),
  });
  return [gate, gate, gate, gate, hidden];
}

/**
 * The integer SVDF (tensorflow/lite/kernels/svdf.cc): what comes out of the first product is kept in 16
 * bits, and meets weights of as many bits as leave room for the sum in 32.
 */
function svdfParts(given: Given, operator: TfliteOperator, { input }: Around) {
  const scale = stateScale(given, operator, 'svdf');
  const feature = weightsOf(given, operator, SVDF.feature, { ...INT8, inputScale: input.scale });
  const bias = isGiven(operator, SVDF.bias) ? tensorOf(given, operator, SVDF.bias) : undefined;
  const values = bias === undefined ? undefined : floatData(bias);
  const time = weightsOf(given, operator, SVDF.time, {
    type: 'INT16',
    limit: timeLimit(given, operator),
    bias: values,
    inputScale: scale,
  });
  const constants = new Map([
    [SVDF.feature, feature.tensor],
    [SVDF.time, time.tensor],
  ] as [number, TfliteTensor][]);
  if (bias !== undefined && values !== undefined) {
    constants.set(SVDF.bias, storeBias(bias, values, scale, time.scale));
  }
  const state = integerLike(tensorOf(given, operator, SVDF.state), 'INT16', scale);
  return { constants, states: new Map([[SVDF.state, state]]), intermediates: [] };
}

/** 10 bits, as TensorFlow's quantizer has it, or fewer where more products than 128 are summed. */
const MOST_TIME = 511;

function timeLimit(given: Given, operator: TfliteOperator): number {
  const [, memory = 1] = tensorOf(given, operator, SVDF.time).shape;
  const rank = optionsOf(operator, 'SVDFOptions')?.rank ?? 1;
  const room = Math.floor((0.99 * 2 ** 31) / (2 ** 15 * memory * rank));
  return Math.max(1, Math.min(MOST_TIME, room));
}

function weightsOf(
  given: Given,
  operator: TfliteOperator,
  position: number,
  form: Omit<Form, 'known'>,
): Stored {
  const known = given.stored.get(operator.inputs[position] ?? -1);
  return storeWeights(tensorOf(given, operator, position), { ...form, known });
}

function tensorOf({ graph }: Given, { op, inputs }: TfliteOperator, position: number) {
  const tensor = graph.tensors[inputs[position] ?? -1];
  if (tensor === undefined) throw new Error(`${op} has no input ${position}`);
  return tensor;
}
