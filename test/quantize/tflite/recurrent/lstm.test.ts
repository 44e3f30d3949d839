import { describe, expect, test } from '@jest/globals';
import { schemePresets } from '../../../../agent/contracts/scheme.ts';
import type { TfliteModel } from '../../../../agent/model/tflite/types.ts';
import { withStates } from '../../../../agent/quantize/tflite/recurrent/states.ts';
import { quantizeStatic } from '../../../../agent/quantize/tflite/static.ts';
import type { Feeds, Tensor } from '../../../../agent/runtime/types.ts';
import { floats, sqnr } from '../../support.ts';
import { STATIC, observe, run, runAll, withSession } from '../support.ts';
import { INPUTS, UNITS, lstmModel } from './models.ts';
import type { LstmForm } from './models.ts';
import { floatCells, integerLstm } from './references.ts';

const ONLY = { ...schemePresets['int8-only'], activations: 's8' } as const;

async function quantized(form: LstmForm) {
  const { g, model } = lstmModel(form);
  const samples = g.samples(20).map(positive);
  const statistics = await observe(model, samples);
  return { model, samples, statistics, ...quantizedAs(model, statistics) };
}

/** One-sided, so that the zero point is not in the middle. */
function positive({ x }: Feeds): Feeds {
  return { x: { ...x!, data: floats(x!.data).map((value) => (value + 0.8) / 2) } };
}

function quantizedAs(model: TfliteModel, statistics: Awaited<ReturnType<typeof observe>>) {
  const { model: made, ops } = quantizeStatic(model, statistics, ONLY);
  const [graph] = made.subgraphs;
  const [operator] = graph!.operators;
  const at = (position: number) => graph!.tensors[operator!.inputs[position]!]!;
  return { made, ops, operator: operator!, at, tensors: graph!.tensors };
}

/** Steps of one sequence of a batch, from what lies in memory. */
function stepsOf({ data, shape }: Tensor, one: number, timeMajor: boolean): number[][] {
  const [first = 1, second = 1, width = 1] = shape as number[];
  const count = timeMajor ? first : second;
  return Array.from({ length: count }, (_, t) => {
    const from = (timeMajor ? t * second + one : one * second + t) * width;
    return Array.from(data.slice(from, from + width) as ArrayLike<number>, Number);
  });
}

/** The sample in the integers of the model's input. */
function asIntegers(model: TfliteModel, { x }: Feeds): Feeds {
  const [graph] = model.subgraphs;
  const { scale, zeroPoint } = graph!.tensors[graph!.inputs[0]!]!.quantization!;
  const data = Int8Array.from(floats(x!.data), (value) =>
    Math.min(Math.max(Math.round(value / scale[0]!) + zeroPoint[0]!, -128), 127),
  );
  return { x: { ...x!, dtype: 'int8', data } };
}

const FORMS: readonly (readonly [string, LstmForm])[] = [
  ['as it is', {}],
  ['two sequences at a time', { batch: 2 }],
  ['time first', { batch: 2, timeMajor: true }],
  ['without an input gate', { coupled: true }],
  ['a clipped cell', { clip: 0.5 }],
  ['large weights', { weights: 4 }],
  ['one step', { steps: 1 }],
];

describe.each(FORMS)('%s', (_, form) => {
  test('the kernel computes what is computed by hand from the file', async () => {
    const { made, samples } = await quantized(form);
    let [exact, all] = [0, 0];
    await withSession(made, 'xnnpack', async (session) => {
      for (const sample of samples) {
        const feeds = asIntegers(made, sample);
        // oxlint-disable-next-line no-await-in-loop -- one run after the other
        const { y } = await session.run(feeds);
        expect(y!.dtype).toBe('int8');
        for (let one = 0; one < (form.batch ?? 1); one++) {
          const major = form.timeMajor === true;
          const steps = stepsOf(feeds['x']!, one, major);
          const [theirs, ours] = [stepsOf(y!, one, major).flat(), integerLstm(made, steps).flat()];
          theirs.forEach((value, i) => {
            expect(Math.abs(value - ours[i]!)).toBeLessThanOrEqual(1);
            exact += value === ours[i] ? 1 : 0;
          });
          all += theirs.length;
        }
      }
    });
    expect(exact / all).toBeGreaterThan(0.9);
  });

  test('it is close to float', async () => {
    const { model, made, samples } = await quantized(form);
    const [reference, outputs] = [await runAll(model, samples), await runAll(made, samples)];
    const values = (list: typeof reference) =>
      Float32Array.from(list.flatMap((one) => [...floats(one['y']!.data)]));
    expect(sqnr(values(reference), values(outputs))).toBeGreaterThan(28);
  });

  test('calibration sees the cell state that is computed by hand', async () => {
    const { g, model } = lstmModel(form);
    const sample = g.feeds();
    const { subgraphs } = withStates(model);
    const at = subgraphs[0]!.tensors.findIndex(({ name }) => name === 'y_state');
    const shown = { ...model, subgraphs: [{ ...subgraphs[0]!, outputs: [at] }] };
    const { y_state: cells } = await run(shown, sample, 'plain');
    for (let one = 0; one < (form.batch ?? 1); one++) {
      const major = form.timeMajor === true;
      const expected = floatCells(model, stepsOf(sample['x']!, one, major)).flat();
      const seen = stepsOf(cells!, one, major).flat();
      expect(seen).toHaveLength(expected.length);
      seen.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 4));
    }
  });
});

test('the file: types, scales and the version of the operator', async () => {
  const { operator, at, tensors, ops, statistics } = await quantized({ clip: 10, weights: 4 });
  expect(ops.map(({ precision }) => precision)).toEqual(['integer']);
  expect(operator.version).toBe(1);
  const types = operator.inputs.map((index) => (index < 0 ? '-' : tensors[index]!.type));
  expect(types).toEqual([
    ...Array<string>(9).fill('INT8'),
    '-',
    '-',
    '-',
    ...Array<string>(4).fill('INT32'),
    '-',
    '-',
    'INT8',
    'INT16',
    ...Array<string>(4).fill('-'),
  ]);
  const output = tensors[operator.outputs[0]!]!;
  const [scale = 0] = output.quantization!.scale;
  // 127 steps for the largest output that was seen.
  const { min, max } = statistics.tensors.get('y')!;
  expect(scale).toBeCloseTo(Math.max(-min, max) / 127, 6);
  expect(output.quantization!.zeroPoint).toEqual([0]);
  expect(at(18)).toMatchObject({ isVariable: true, quantization: output.quantization });
  // Two to the power of whole numbers, enough for what was seen.
  const { seenMin, seenMax } = statistics.tensors.get('y_state')!;
  const largest = Math.max(-seenMin, seenMax);
  const range = 2 ** 15 * at(19).quantization!.scale[0]!;
  expect(Number.isInteger(Math.log2(range))).toBe(true);
  expect(range).toBeGreaterThanOrEqual(largest);
  expect(range / 2).toBeLessThan(largest);
  expect(at(19)).toMatchObject({ isVariable: true });
  for (const gate of [0, 1, 2, 3]) {
    const [product = 0] = at(1 + gate).quantization!.scale;
    const [input = 0] = at(0).quantization!.scale;
    expect(at(12 + gate).quantization!.scale[0]).toBeCloseTo(product * input, 8);
    expect(at(12 + gate).quantization!.zeroPoint).toEqual([0]);
  }
  expect(operator.intermediates).toHaveLength(5);
  const inside = operator.intermediates.map((index) => tensors[index]!);
  expect(inside.map(({ type, shape }) => `${type} ${shape.join()}`)).toEqual([
    ...Array<string>(4).fill('FLOAT32 0'),
    'INT8 0',
  ]);
  expect(inside[4]!.quantization).toEqual(output.quantization);
});

test('the cell scale is 2^-15 where the cell stays small', async () => {
  const { at } = await quantized({ weights: 0.1 });
  expect(at(19).quantization!.scale).toEqual([2 ** -15]);
});

const REFUSED: readonly (readonly [string, LstmForm])[] = [
  ['it has peepholes', { with: 'peepholes' }],
  ['it has a projection', { with: 'projection' }],
  ['it has layer normalization', { with: 'norms' }],
  [
    'its integer kernel knows no other activation than TANH, and this has RELU',
    { activation: 'RELU' },
  ],
  ['its recurrent weights are diagonal', { diagonal: true }],
];

test.each(REFUSED)('refused: %s', (reason, form) => {
  const { model } = lstmModel(form);
  const nothing = { samples: 0, observer: 'min-max', tensors: new Map() } as const;
  expect(() => quantizeStatic(model, nothing, ONLY)).toThrow(
    `UNIDIRECTIONAL_SEQUENCE_LSTM 'y' (${reason}`,
  );
  // Nothing of it is observed that needs no observing.
  expect(withStates(model)).toBe(model);
});

test('refused: what no sample came by, and a cell beyond the kernel', async () => {
  const { g, model } = lstmModel();
  const statistics = await observe(model, g.samples(2));
  const without = (change: (tensors: Map<string, object>) => void) => {
    const tensors = new Map(statistics.tensors);
    change(tensors);
    return () => quantizeStatic(model, { ...statistics, tensors }, ONLY);
  };
  expect(without((tensors) => tensors.delete('y_state'))).toThrow(
    "no finite range was seen of 'y_state'",
  );
  const seen = statistics.tensors.get('y_state')!;
  expect(without((tensors) => tensors.set('y_state', { ...seen, seenMax: 65 }))).toThrow(
    'its cell state came to 65.0, and its integer kernel takes up to 64',
  );
});

test('weights that are in 8 bits already stay as they are', async () => {
  const { g, model, made } = { ...(await quantized({})), ...lstmModel() };
  const [graph] = model.subgraphs;
  const weights = made.subgraphs[0]!.tensors.find(({ name }) => name === 'w_f')!;
  // As a dynamic-range file has it: a weight of 126 at most keeps its scale only if it is not made anew.
  const data = Int8Array.from({ length: UNITS * INPUTS }, (_, i) => (i % 2 === 0 ? 126 : -3));
  const stored = { ...weights, data: new Uint8Array(data.buffer) };
  const tensors = graph!.tensors.map((one) =>
    one.name.startsWith('w_') ? { ...stored, name: one.name } : one,
  );
  const recurrent = (one: (typeof tensors)[number]) =>
    one.name.startsWith('r_')
      ? {
          ...one,
          type: stored.type,
          quantization: stored.quantization,
          data: stored.data.slice(0, UNITS * UNITS),
        }
      : one;
  const hybrid = { ...model, subgraphs: [{ ...graph!, tensors: tensors.map(recurrent) }] };
  const { at } = quantizedAs(hybrid, await observe(hybrid, g.samples(2)));
  expect(at(2)).toMatchObject({ data: stored.data, quantization: stored.quantization });
});

test('beside floats it stays hybrid, which is many times as fast', async () => {
  const { model, statistics } = await quantized({});
  expect(() => quantizeStatic(model, statistics, STATIC)).toThrow(
    'slower than turning into floats and back',
  );
});
