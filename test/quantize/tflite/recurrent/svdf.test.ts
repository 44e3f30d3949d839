import { describe, expect, test } from '@jest/globals';
import { schemePresets } from '../../../../agent/contracts/scheme.ts';
import { floatData, tensorNumbers } from '../../../../agent/model/tflite/tensor.ts';
import type { TfliteModel, TfliteTensor } from '../../../../agent/model/tflite/types.ts';
import { quantizeStatic } from '../../../../agent/quantize/tflite/static.ts';
import { floats, sqnr } from '../../support.ts';
import { STATIC, observe, withSession } from '../support.ts';
import { svdfModel } from './models.ts';
import type { SvdfForm } from './models.ts';
import { integerSvdf } from './references.ts';

const ONLY = { ...schemePresets['int8-only'], activations: 's8' } as const;

async function quantized(form: SvdfForm) {
  const { g, model } = svdfModel(form);
  const samples = g.samples(40);
  const statistics = await observe(model, samples);
  const { model: made, ops } = quantizeStatic(model, statistics, ONLY);
  const [graph] = made.subgraphs;
  const [operator] = graph!.operators;
  const at = (position: number) => graph!.tensors[operator!.inputs[position]!]!;
  const output = graph!.tensors[operator!.outputs[0]!]!;
  return { model, made, ops, samples, statistics, operator: operator!, at, output };
}

/** Each sample in the integers of the model's input. */
function asIntegers(model: TfliteModel, values: readonly Float32Array[]): number[][] {
  const [graph] = model.subgraphs;
  const { scale, zeroPoint } = graph!.tensors[graph!.inputs[0]!]!.quantization!;
  const toInteger = (value: number) =>
    Math.min(Math.max(Math.round(value / scale[0]!) + zeroPoint[0]!, -128), 127);
  return values.map((one) => Array.from(one, toInteger));
}

const FORMS: readonly (readonly [string, SvdfForm])[] = [
  ['rank 2', {}],
  ['rank 1', { rank: 1, memory: 8 }],
  ['without a bias', { bias: false }],
  ['a memory of which not all fits into 10 bits', { rank: 4, memory: 50 }],
];

describe.each(FORMS)('%s', (_, form) => {
  test('the kernel computes what is computed by hand from the file', async () => {
    const { made, samples } = await quantized(form);
    const inputs = asIntegers(
      made,
      samples.map(({ x }) => floats(x!.data)),
    );
    await withSession(made, 'xnnpack', async (session) => {
      for (const [i, x] of inputs.entries()) {
        // Every run begins with a state of zeros.
        const data = Int8Array.from(x);
        // oxlint-disable-next-line no-await-in-loop -- one run after the other
        const { y } = await session.run({ x: { ...samples[i]!['x']!, dtype: 'int8', data } });
        expect(Array.from(y!.data, Number)).toEqual(integerSvdf(made, [x])[0]);
      }
    });
  });

  test('a sequence computed by hand in integers is close to one in floats', async () => {
    const { model, made, samples, output } = await quantized(form);
    const values = samples.map(({ x }) => floats(x!.data));
    const [scale = 0] = output.quantization!.scale;
    const [zero = 0] = output.quantization!.zeroPoint;
    const integers = integerSvdf(made, asIntegers(made, values));
    const expected = floatSvdf(model, values);
    const reach = 255 * scale;
    const clipped = Float32Array.from(expected.flat(), (value) => Math.min(value, reach));
    const seen = Float32Array.from(integers.flat(), (value) => (value - zero) * scale);
    expect(sqnr(clipped, seen)).toBeGreaterThan(30);
  });
});

const largestOf = (tensor: TfliteTensor) => Math.max(...tensorNumbers(tensor).map(Math.abs));

/** In double precision, the samples being steps of one sequence. */
function floatSvdf(model: TfliteModel, steps: readonly Float32Array[]): number[][] {
  const [graph] = model.subgraphs;
  const [operator] = graph!.operators;
  const tensor = (position: number) => graph!.tensors[operator!.inputs[position]!];
  const [feature, time] = [floatData(tensor(1)!), floatData(tensor(2)!)];
  const [filters = 0, memory = 0] = tensor(2)!.shape;
  const [, units = 0] = graph!.tensors[operator!.outputs[0]!]!.shape;
  const state = Array.from({ length: filters }, () => Array<number>(memory).fill(0));
  const bias = tensor(3) === undefined ? [] : floatData(tensor(3)!);
  return steps.map((x) => {
    state.forEach((seen, filter) => {
      seen.shift();
      seen.push(x.reduce((sum, value, i) => sum + value * feature[filter * x.length + i]!, 0));
    });
    return Array.from({ length: units }, (_, unit) => {
      let sum = bias[unit] ?? 0;
      state.forEach((seen, filter) => {
        if (Math.floor(filter / (filters / units)) !== unit) return;
        seen.forEach((value, i) => (sum += value * time[filter * memory + i]!));
      });
      return Math.max(sum, 0);
    });
  });
}

test('the file: types, scales and the version of the operator', async () => {
  const { operator, at, output, ops, statistics } = await quantized({});
  expect(ops.map(({ precision }) => precision)).toEqual(['integer']);
  expect(operator.version).toBe(3);
  expect([0, 1, 2, 3, 4].map((position) => at(position).type)).toEqual([
    'INT8',
    'INT8',
    'INT16',
    'INT32',
    'INT16',
  ]);
  // The lowest integer stands for zero: that is all there is of RELU.
  expect(output.quantization!.zeroPoint).toEqual([-128]);
  const { seenMin, seenMax } = statistics.tensors.get('y_state')!;
  const [state = 0] = at(4).quantization!.scale;
  expect(state).toBeCloseTo(Math.max(-seenMin, seenMax) / 32767, 8);
  const [time = 0] = at(2).quantization!.scale;
  expect(at(3).quantization!.scale[0]).toBeCloseTo(state * time, 9);
  expect(largestOf(at(2))).toBe(511);
});

test('weights for time have fewer bits where more of them are summed', async () => {
  const { at } = await quantized({ rank: 4, memory: 50 });
  // 0.99 * 2^31 / (2^15 * 200)
  expect(largestOf(at(2))).toBe(324);
});

test('refused with another activation', () => {
  const { model } = svdfModel({ activation: 'NONE' });
  const nothing = { samples: 0, observer: 'min-max', tensors: new Map() } as const;
  expect(() => quantizeStatic(model, nothing, ONLY)).toThrow(
    "SVDF 'y' (its integer kernel knows no other activation than RELU, and this has NONE)",
  );
});

test('beside floats it stays as it is', async () => {
  const { model, statistics } = await quantized({});
  expect(() => quantizeStatic(model, statistics, STATIC)).toThrow(
    'slower than turning into floats and back',
  );
});
