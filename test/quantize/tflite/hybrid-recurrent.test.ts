import { expect, test } from '@jest/globals';
import { optionsOf } from '../../../agent/model/tflite/types.ts';
import type { TfliteModel } from '../../../agent/model/tflite/types.ts';
import { quantizeStatic } from '../../../agent/quantize/tflite/static.ts';
import { floats, sqnr } from '../support.ts';
import { GraphBuilder } from './graphs.ts';
import { STATIC, observe, opsOf, runAll, tensorNamed } from './support.ts';

/** No matrix has 1024 weights; the eight of the layer have 4 * 12 * (24 + 12) = 1728. */
const [TIME, INPUTS, UNITS] = [5, 24, 12];

/** dense -> LSTM -> dense */
function recurrent() {
  const g = new GraphBuilder(41);
  const x = g.dense('before', g.input('x', [1, TIME, INPUTS]), INPUTS, { keep: true });
  const weights = (name: string, columns: number) =>
    [0, 1, 2, 3].map((i) => g.random(`${name}${i}`, [UNITS, columns], 0.3));
  const biases = [0, 1, 2, 3].map((i) => g.random(`bias${i}`, [UNITS], 0.1));
  const states = ['h', 'c'].map((name) => {
    const shape = [1, UNITS];
    return g.add({ ...g.tensors[g.input(name, shape)]!, isVariable: true });
  });
  g.inputs.splice(1);
  const inputs = [
    x,
    ...weights('w', INPUTS),
    ...weights('r', UNITS),
    -1,
    -1,
    -1,
    ...biases,
    -1,
    -1,
    ...states,
  ];
  const made = g.make('UNIDIRECTIONAL_SEQUENCE_LSTM', 'lstm', inputs, [1, TIME, UNITS], {
    kind: 'UnidirectionalSequenceLSTMOptions',
    fusedActivationFunction: 'TANH',
    cellClip: 0,
    projClip: 0,
    timeMajor: false,
    asymmetricQuantizeInputs: false,
    diagonalRecurrentTensors: false,
  });
  return { g, model: g.model([g.dense('out', made, 4, { keep: true })]) };
}

const lstmOf = (model: TfliteModel) =>
  model.subgraphs[0]!.operators.find(({ op }) => op === 'UNIDIRECTIONAL_SEQUENCE_LSTM')!;

test('an LSTM amid integers keeps its floats and gets int8 weights', async () => {
  const { g, model } = recurrent();
  const samples = g.samples(4);
  const { model: made, ops } = quantizeStatic(model, await observe(model, samples), STATIC);
  expect(ops.map(({ op, precision }) => `${op} ${precision}`)).toEqual([
    'FULLY_CONNECTED integer',
    'UNIDIRECTIONAL_SEQUENCE_LSTM integer',
    'FULLY_CONNECTED integer',
  ]);
  expect(ops[1]!.reason).toContain('its weights are int8');
  expect(opsOf(made)).toContain('DEQUANTIZE');
  expect(tensorNamed(made, 'w0').type).toBe('INT8');
  expect(tensorNamed(made, 'bias0').type).toBe('FLOAT32');
  expect(lstmOf(made).version).toBe(3);
  const options = optionsOf(lstmOf(made), 'UnidirectionalSequenceLSTMOptions');
  expect(options!.asymmetricQuantizeInputs).toBe(true);
  const [reference, outputs] = [await runAll(model, samples), await runAll(made, samples)];
  const all = (list: typeof reference) =>
    Float32Array.from(list.flatMap((one) => [...floats(one['out']!.data)]));
  expect(sqnr(all(reference), all(outputs))).toBeGreaterThan(25);
});

test('it is left alone when excluded, and in integers where all must be', async () => {
  const { g, model } = recurrent();
  const seen = await observe(model, g.samples(2));
  const { model: made } = quantizeStatic(model, seen, { ...STATIC, excluded: ['lstm'] });
  expect(tensorNamed(made, 'w0').type).toBe('FLOAT32');
  expect(lstmOf(made).version).toBe(1);
  const only = quantizeStatic(model, seen, { ...STATIC, integerOnly: true });
  expect(opsOf(only.model).filter((op) => op.includes('QUANTIZE'))).toEqual([]);
  expect(lstmOf(only.model).version).toBe(1);
});
