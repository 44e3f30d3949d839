import type { TfliteModel } from '../../../../agent/model/tflite/types.ts';
import type { ActivationFunctionType } from '../../../../agent/model/tflite/generated/enums.ts';
import { GraphBuilder } from '../graphs.ts';

export interface LstmForm {
  readonly batch?: number;
  readonly steps?: number;
  readonly timeMajor?: boolean;
  /** Without an input gate. */
  readonly coupled?: boolean;
  readonly clip?: number;
  readonly activation?: ActivationFunctionType;
  readonly with?: 'peepholes' | 'projection' | 'norms';
  readonly diagonal?: boolean;
  /** How large weights get. */
  readonly weights?: number;
}

export const [INPUTS, UNITS] = [6, 5];

function variable(g: GraphBuilder, name: string, shape: readonly number[]): number {
  const at = g.add({ ...g.tensors[g.input(name, shape)]!, isVariable: true });
  g.inputs.pop();
  return at;
}

/** One LSTM, and nothing else. */
export function lstmModel(form: LstmForm = {}): { g: GraphBuilder; model: TfliteModel } {
  const { batch = 1, steps = 7, timeMajor = false, coupled = false, clip = 0 } = form;
  const g = new GraphBuilder(23);
  const sequence = (last: number) => (timeMajor ? [steps, batch, last] : [batch, steps, last]);
  const x = g.input('x', sequence(INPUTS));
  const gates = (name: string, make: (name: string) => number, isThere = true) =>
    ['i', 'f', 'c', 'o'].map((gate) =>
      isThere && !(coupled && gate === 'i') ? make(`${name}_${gate}`) : -1,
    );
  const size = form.weights ?? 0.8;
  const vector = (name: string) => g.random(name, [UNITS], 0.3);
  const weights = gates('w', (name) => g.random(name, [UNITS, INPUTS], size));
  const recurrent = gates('r', (name) => g.random(name, [UNITS, UNITS], size));
  const peepholes = gates('p', vector, form.with === 'peepholes').filter((_, i) => i !== 2);
  const biases = gates('b', vector);
  const projection = form.with === 'projection' ? g.random('projection', [UNITS, UNITS]) : -1;
  const states = ['h', 'c'].map((name) => variable(g, name, [batch, UNITS]));
  const norms = gates('n', vector, form.with === 'norms');
  const inputs = [
    x,
    ...weights,
    ...recurrent,
    ...peepholes,
    ...biases,
    projection,
    -1,
    ...states,
    ...norms,
  ];
  const y = g.make('UNIDIRECTIONAL_SEQUENCE_LSTM', 'y', inputs, sequence(UNITS), {
    kind: 'UnidirectionalSequenceLSTMOptions',
    fusedActivationFunction: form.activation ?? 'TANH',
    cellClip: clip,
    projClip: 0,
    timeMajor,
    asymmetricQuantizeInputs: false,
    diagonalRecurrentTensors: form.diagonal ?? false,
  });
  return { g, model: g.model([y]) };
}

export interface SvdfForm {
  readonly rank?: number;
  readonly memory?: number;
  readonly activation?: ActivationFunctionType;
  readonly bias?: boolean;
}

/** One SVDF, and nothing else. */
export function svdfModel(form: SvdfForm = {}): { g: GraphBuilder; model: TfliteModel } {
  const { rank = 2, memory = 3, activation = 'RELU', bias = true } = form;
  const g = new GraphBuilder(29);
  const filters = UNITS * rank;
  const inputs = [
    g.input('x', [1, INPUTS]),
    g.random('feature', [filters, INPUTS], 0.8),
    g.random('time', [filters, memory], 0.8),
    bias ? g.random('bias', [UNITS], 0.3) : -1,
    variable(g, 'state', [1, filters * memory]),
  ];
  const y = g.make('SVDF', 'y', inputs, [1, UNITS], {
    kind: 'SVDFOptions',
    rank,
    fusedActivationFunction: activation,
    asymmetricQuantizeInputs: false,
  });
  return { g, model: g.model([y]) };
}
