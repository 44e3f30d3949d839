import { floatData, tensorData } from '../../../../agent/model/tflite/tensor.ts';
import { optionsOf } from '../../../../agent/model/tflite/types.ts';
import type { TfliteModel, TfliteTensor } from '../../../../agent/model/tflite/types.ts';
import { int16, int8, multiplierOf, roundedShift, scaled } from './fixed-point.ts';
import type { Multiplier } from './fixed-point.ts';

/*
 * Recurrent layers computed by hand from the integers of a file, as the kernels do
 * (tensorflow/lite/kernels/lstm_eval.cc, LstmStepInteger8x8_16, and svdf.cc).
 */

/** What is read of the one operator of a file. */
function opened(model: TfliteModel, op: string) {
  const [graph] = model.subgraphs;
  const operator = graph!.operators.find((one) => one.op === op)!;
  const tensor = (position: number): TfliteTensor | undefined =>
    graph!.tensors[operator.inputs[position] ?? -1];
  const hidden = graph!.tensors[operator.intermediates[4] ?? -1];
  return { operator, tensor, hidden, output: graph!.tensors[operator.outputs[0]!]! };
}

const scaleOf = (tensor: TfliteTensor | undefined) => tensor!.quantization!.scale[0]!;
const zeroOf = (tensor: TfliteTensor | undefined) => tensor!.quantization!.zeroPoint[0]!;
const integers = (tensor: TfliteTensor | undefined) => Array.from(tensorData(tensor!), Number);

/** Rows of integer weights with what they are multiplied by to become gates of 2^-12. */
interface Product {
  readonly weights: readonly number[];
  readonly bias: readonly number[];
  readonly zero: number;
  readonly multiplier: Multiplier;
}

function dot({ weights, bias, zero }: Product, row: number, x: readonly number[]): number {
  let sum = bias[row] ?? 0;
  x.forEach((value, i) => (sum += weights[row * x.length + i]! * (value - zero)));
  return sum;
}

/** int8 in, [step][unit] of int8 out; one sequence. */
export function integerLstm(model: TfliteModel, steps: readonly (readonly number[])[]) {
  const { operator, tensor, hidden, output } = opened(model, 'UNIDIRECTIONAL_SEQUENCE_LSTM');
  const { cellClip } = optionsOf(operator, 'UnidirectionalSequenceLSTMOptions')!;
  const units = tensor(18)!.shape[1]!;
  const cellBits = Math.log2(scaleOf(tensor(19)));
  const product = (at: number, bias: number, from: TfliteTensor): Product => ({
    weights: integers(tensor(at)),
    bias: bias < 0 ? [] : integers(tensor(bias)),
    zero: zeroOf(from),
    multiplier: multiplierOf((scaleOf(from) * scaleOf(tensor(at))) / 2 ** -12),
  });
  const gates = [0, 1, 2, 3].map((gate) =>
    tensor(1 + gate) === undefined
      ? undefined
      : [product(1 + gate, 12 + gate, tensor(0)!), product(5 + gate, -1, tensor(18)!)],
  );
  const toHidden = multiplierOf(2 ** -30 / scaleOf(hidden));
  const clip = int16(Math.trunc(cellClip / scaleOf(tensor(19))));
  let h = Array<number>(units).fill(zeroOf(output));
  const c = Array<number>(units).fill(0);
  return steps.map((x) => {
    const gate = (index: number, unit: number): number => {
      const [a, b] = gates[index]!;
      const first = int16(scaled(dot(a!, unit, x), a!.multiplier));
      return int16(scaled(dot(b!, unit, h), b!.multiplier) + first);
    };
    h = c.map((before, unit) => {
      const forget = sigmoid(gate(1, unit));
      const input = gates[0] === undefined ? 32767 - forget : sigmoid(gate(0, unit));
      const kept = roundedShift(forget * before, 15);
      const added = roundedShift(input * tanh(gate(2, unit), -12), 30 + cellBits);
      const cell = int16(kept + added);
      c[unit] = clip > 0 ? Math.min(Math.max(cell, -clip), clip) : cell;
      const out = sigmoid(gate(3, unit)) * tanh(c[unit], cellBits);
      return int8(scaled(out, toHidden) + zeroOf(hidden));
    });
    return h;
  });
}

/** From 2^-12 to 2^-15. The kernels' own approximations are a few steps off. */
function sigmoid(value: number): number {
  return int16(Math.round(2 ** 15 / (1 + Math.exp(-value / 2 ** 12))));
}

function tanh(value: number, bits: number): number {
  return int16(Math.round(2 ** 15 * Math.tanh(value * 2 ** bits)));
}

/** int8 in, int8 out; the samples are the steps of one sequence. */
export function integerSvdf(model: TfliteModel, steps: readonly (readonly number[])[]) {
  const { operator, tensor, output } = opened(model, 'SVDF');
  const { rank } = optionsOf(operator, 'SVDFOptions')!;
  const [filters = 0, memory = 0] = tensor(2)!.shape;
  const feature: Product = {
    weights: integers(tensor(1)),
    bias: [],
    zero: zeroOf(tensor(0)),
    multiplier: multiplierOf((scaleOf(tensor(0)) * scaleOf(tensor(1))) / scaleOf(tensor(4))),
  };
  const time = integers(tensor(2));
  const bias = tensor(3) === undefined ? [] : integers(tensor(3));
  const last = multiplierOf((scaleOf(tensor(4)) * scaleOf(tensor(2))) / scaleOf(output));
  const state = Array.from({ length: filters }, () => Array<number>(memory).fill(0));
  return steps.map((x) => {
    state.forEach((seen, filter) => {
      seen.shift();
      seen.push(int16(scaled(dot(feature, filter, x), feature.multiplier)));
    });
    return Array.from({ length: filters / rank }, (_, unit) => {
      let sum = bias[unit] ?? 0;
      for (let filter = unit * rank; filter < (unit + 1) * rank; filter++) {
        state[filter]!.forEach((value, i) => (sum += value * time[filter * memory + i]!));
      }
      return int8(scaled(sum, last) + zeroOf(output));
    });
  });
}

/** The cell state of a float LSTM after each step of one sequence, in double precision. */
export function floatCells(model: TfliteModel, steps: readonly (readonly number[])[]) {
  const { operator, tensor } = opened(model, 'UNIDIRECTIONAL_SEQUENCE_LSTM');
  const { cellClip } = optionsOf(operator, 'UnidirectionalSequenceLSTMOptions')!;
  const units = tensor(18)!.shape[1]!;
  const values = (at: number) => Array.from(floatData(tensor(at)!));
  let h = Array<number>(units).fill(0);
  const c = Array<number>(units).fill(0);
  const rows = (at: number, x: readonly number[], unit: number) =>
    values(at)
      .slice(unit * x.length, (unit + 1) * x.length)
      .reduce((sum, weight, i) => sum + weight * x[i]!, 0);
  const logistic = (value: number) => 1 / (1 + Math.exp(-value));
  return steps.map((x) => {
    const before = h;
    const gate = (index: number, unit: number) =>
      rows(1 + index, x, unit) + rows(5 + index, before, unit) + values(12 + index)[unit]!;
    h = before.map((_, unit) => {
      const forget = logistic(gate(1, unit));
      const input = tensor(1) === undefined ? 1 - forget : logistic(gate(0, unit));
      const cell = forget * c[unit]! + input * Math.tanh(gate(2, unit));
      c[unit] = cellClip > 0 ? Math.min(Math.max(cell, -cellClip), cellClip) : cell;
      return logistic(gate(3, unit)) * Math.tanh(c[unit]);
    });
    return [...c];
  });
}
