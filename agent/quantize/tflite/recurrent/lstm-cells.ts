import { floatData } from '../../../model/tflite/tensor.ts';
import { optionsOf } from '../../../model/tflite/types.ts';
import type { TfliteGraph, TfliteOperator } from '../../../model/tflite/types.ts';
import type { Grower } from './grower.ts';
import { LSTM, gatesOf } from './layout.ts';

/** Sizes of a layer: [batch, time, ...], or [time, batch, ...]. */
interface Sizes {
  readonly batch: number;
  readonly steps: number;
  readonly units: number;
  readonly inputs: number;
  readonly timeAxis: number;
}

/**
 * Adds what computes the cell state of an LSTM after every step, from what goes in and out, and returns
 * its tensor. All that the output of the step before leads to, the gates, is there for all steps at once,
 * as that output is known; only c[t] = f[t] * c[t-1] + i[t] * g[t] goes step by step.
 */
export function addCells(grower: Grower, operator: TfliteOperator, decoded: TfliteGraph): number {
  const options = optionsOf(operator, 'UnidirectionalSequenceLSTMOptions');
  const timeAxis = options?.timeMajor === true ? 0 : 1;
  const sizes = sizesOf(grower, operator, timeAxis);
  const { forget, entering } = addGates(grower, operator, decoded, sizes);
  const clip = options?.cellClip ?? 0;
  const step = [sizes.batch, sizes.units];
  const shapes = Array.from({ length: sizes.steps }, () => step);
  const [f, p] = [forget, entering].map((at) =>
    grower.makeAll('UNPACK', [at], shapes, {
      kind: 'UnpackOptions',
      num: sizes.steps,
      axis: timeAxis,
    }),
  );
  const limits =
    clip > 0 ? [clip, -clip].map((one) => grower.floats(Float32Array.of(one), [1])) : [];
  const cells: number[] = [];
  for (let t = 0, cell = -1; t < sizes.steps; t++) {
    const added = p?.[t] ?? -1;
    const kept = t === 0 ? -1 : times(grower, f?.[t] ?? -1, cell);
    cell = t === 0 ? added : grower.make('ADD', [kept, added], step, ADD);
    const [most = -1, least = -1] = limits;
    if (clip > 0) {
      const below = grower.make('MINIMUM', [cell, most], step, MAXIMUM_MINIMUM);
      cell = grower.make('MAXIMUM', [below, least], step, MAXIMUM_MINIMUM);
    }
    cells.push(cell);
  }
  const shape = sequence(sizes, sizes.units);
  const pack = { kind: 'PackOptions', valuesCount: sizes.steps, axis: timeAxis } as const;
  return grower.make('PACK', cells, shape, pack);
}

const ADD = { kind: 'AddOptions', fusedActivationFunction: 'NONE', potScaleInt16: true } as const;
const MAXIMUM_MINIMUM = { kind: 'MaximumMinimumOptions' } as const;

function times(grower: Grower, a: number, b: number): number {
  const options = { kind: 'MulOptions', fusedActivationFunction: 'NONE' } as const;
  return grower.make('MUL', [a, b], grower.shapeOf(a), options);
}

function sizesOf(grower: Grower, operator: TfliteOperator, timeAxis: number): Sizes {
  const [x = -1] = operator.inputs;
  const [y = -1] = operator.outputs;
  const shape = grower.shapeOf(x);
  return {
    batch: shape[1 - timeAxis] ?? 1,
    steps: shape[timeAxis] ?? 1,
    inputs: shape[2] ?? 0,
    units: grower.shapeOf(y)[2] ?? 0,
    timeAxis,
  };
}

function sequence({ batch, steps, timeAxis }: Sizes, last: number): readonly number[] {
  return timeAxis === 0 ? [steps, batch, last] : [batch, steps, last];
}

/** The forget gate and what enters the cell, for all steps. */
function addGates(
  grower: Grower,
  operator: TfliteOperator,
  decoded: TfliteGraph,
  sizes: Sizes,
): { readonly forget: number; readonly entering: number } {
  const taken = gatesOf(operator).filter((gate) => gate < 3);
  const { units, inputs } = sizes;
  const seen = joinedInput(grower, operator, sizes);
  const weights = grower.floats(joinedWeights(operator, decoded, taken, sizes), [
    taken.length * units,
    inputs + units,
  ]);
  const biases = taken.flatMap((gate) => [...valuesAt(operator, decoded, LSTM.biases[gate])]);
  const bias = grower.floats(Float32Array.from(biases), [biases.length]);
  const sums = grower.make(
    'FULLY_CONNECTED',
    [seen, weights, bias],
    sequence(sizes, biases.length),
    {
      kind: 'FullyConnectedOptions',
      fusedActivationFunction: 'NONE',
      weightsFormat: 'DEFAULT',
      keepNumDims: true,
      asymmetricQuantizeInputs: false,
      quantizedBiasType: 'FLOAT32',
    },
  );
  const shape = sequence(sizes, units);
  const split = grower.makeAll(
    'SPLIT',
    [grower.scalar(2), sums],
    taken.map(() => shape),
    {
      kind: 'SplitOptions',
      numSplits: taken.length,
    },
  );
  const [f = -1, g = -1] = split.slice(-2);
  const forget = grower.make('LOGISTIC', [f], shape);
  const input =
    taken.length === 3
      ? grower.make('LOGISTIC', [split[0] ?? -1], shape)
      : oneMinus(grower, forget, shape);
  return { forget, entering: times(grower, input, grower.make('TANH', [g], shape)) };
}

function oneMinus(grower: Grower, at: number, shape: readonly number[]): number {
  const one = grower.floats(Float32Array.of(1), [1]);
  return grower.make('SUB', [one, at], shape, {
    kind: 'SubOptions',
    fusedActivationFunction: 'NONE',
    potScaleInt16: true,
  });
}

/** The input of each step beside the output of the step before. */
function joinedInput(grower: Grower, operator: TfliteOperator, sizes: Sizes): number {
  const { steps, units, inputs, batch, timeAxis } = sizes;
  const [x = -1] = operator.inputs;
  const [y = -1] = operator.outputs;
  const first = sequence({ ...sizes, steps: 1 }, units);
  const zeros = grower.floats(new Float32Array(batch * units), first);
  const join = (parts: readonly number[], axis: number, last: number) =>
    grower.make('CONCATENATION', parts, sequence(sizes, last), {
      kind: 'ConcatenationOptions',
      axis,
      fusedActivationFunction: 'NONE',
    });
  if (steps === 1) return join([x, zeros], 2, inputs + units);
  const rest = sequence({ ...sizes, steps: steps - 1 }, units);
  const from = grower.ints(0, 0, 0);
  const before = grower.make('SLICE', [y, from, grower.ints(...rest)], rest, {
    kind: 'SliceOptions',
  });
  return join([x, join([zeros, before], timeAxis, units)], 2, inputs + units);
}

/** Rows of all gates, each with weights for the input and then for the output of the step before. */
function joinedWeights(
  operator: TfliteOperator,
  decoded: TfliteGraph,
  gates: readonly number[],
  { units, inputs }: Sizes,
): Float32Array {
  const width = inputs + units;
  const joined = new Float32Array(gates.length * units * width);
  for (const [place, gate] of gates.entries()) {
    const fromInput = valuesAt(operator, decoded, LSTM.weights[gate]);
    const fromOutput = valuesAt(operator, decoded, LSTM.recurrent[gate]);
    for (let unit = 0; unit < units; unit++) {
      const at = (place * units + unit) * width;
      joined.set(fromInput.subarray(unit * inputs, (unit + 1) * inputs), at);
      joined.set(fromOutput.subarray(unit * units, (unit + 1) * units), at + inputs);
    }
  }
  return joined;
}

function valuesAt(
  { inputs }: TfliteOperator,
  { tensors }: TfliteGraph,
  position = -1,
): Float32Array {
  const tensor = tensors[inputs[position] ?? -1];
  return tensor === undefined ? new Float32Array() : floatData(tensor);
}
