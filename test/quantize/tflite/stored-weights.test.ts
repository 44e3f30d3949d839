import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { openTflite } from '../../../agent/model/tflite/open.ts';
import { floatData } from '../../../agent/model/tflite/tensor.ts';
import { makeQuantization } from '../../../agent/model/tflite/types.ts';
import type { TfliteModel } from '../../../agent/model/tflite/types.ts';
import { quantizeDynamic } from '../../../agent/quantize/tflite/dynamic.ts';
import { quantizeStatic } from '../../../agent/quantize/tflite/static.ts';
import { decodeStored, isReusable } from '../../../agent/quantize/tflite/stored-weights.ts';
import { quantizeWeights } from '../../../agent/quantize/tflite/weight-only.ts';
import { corpusPath, describeWithCorpus } from '../../support/corpus.ts';
import { constant, tinyTflite, value } from '../../support/tflite-models.ts';
import { conv, plain, smallNet } from './layers.ts';
import { STATIC, observe, run } from './support.ts';

const filters = (scale: readonly number[], zeroPoint = scale.map(() => 0), axis = 0) => ({
  ...constant(
    'w',
    Int8Array.from({ length: 18 }, (_, at) => at - 9),
    { shape: [2, 3, 3, 1] },
  ),
  quantization: makeQuantization(scale, zeroPoint, axis),
});

const net = (weights: ReturnType<typeof filters>, decoded = false) =>
  tinyTflite({
    tensors: [
      value('x', [1, 4, 4, 1]),
      weights,
      value('f', [2, 3, 3, 1]),
      value('y', [1, 4, 4, 2]),
      constant('b', Float32Array.of(0.1, -0.1), { shape: [2] }),
    ],
    inputs: [0],
    outputs: [3],
    operators: decoded ? [plain('DEQUANTIZE', [1], 2), conv([0, 2, 4], 3)] : [conv([0, 1, 4], 3)],
  });

function decodedOf(model: TfliteModel) {
  const [graph] = model.subgraphs;
  return decodeStored(graph!);
}

test('weights of the operator itself, and those that a DEQUANTIZE reads, become floats', () => {
  for (const [model, at] of [
    [net(filters([1, 2])), 1],
    [net(filters([1, 2]), true), 2],
  ] as const) {
    const { graph, stored, before } = decodedOf(model);
    expect([...stored.keys()]).toEqual([at]);
    expect(before.get(at)).toBe(model.subgraphs[0]?.tensors[at]);
    expect(graph.tensors[at]?.type).toBe('FLOAT32');
    expect([...floatData(graph.tensors[at]!)].slice(7, 11)).toEqual([-2, -1, 0, 2]);
  }
});

test('zero points count when they are decoded', () => {
  const { graph } = decodedOf(net(filters([0.5], [3]), true));
  expect(floatData(graph.tensors[2]!)[0]).toBe(-6);
});

test('weights that integer kernels take as they are, and others', () => {
  expect(isReusable(filters([1, 2]), 0)).toBe(true);
  expect(isReusable(filters([1]), 3)).toBe(true);
  expect(isReusable(filters([1, 2], [0, 3]), 0)).toBe(false);
  expect(isReusable(filters([1, 2, 3], undefined, 1), 0)).toBe(false);
  expect(isReusable(filters([1, 0]), 0)).toBe(false);
  const lowest = { ...filters([1]), data: Uint8Array.from({ length: 18 }, () => 0x80) };
  expect(isReusable(lowest, 0)).toBe(false);
});

test('float weights are none', () => {
  expect(decodedOf(smallNet()).stored.size).toBe(0);
});

const SAMPLES = [0, 1, 2].map((shift) => ({
  x: {
    dtype: 'float32' as const,
    shape: [1, 4, 4, 1],
    data: Float32Array.from({ length: 16 }, (_, at) => ((at * 7 + shift * 5) % 16) / 8 - 1),
  },
}));

/** The one tensor of int8 values that has no zero point and is a constant. */
function weightsOf(model: TfliteModel) {
  const { tensors } = model.subgraphs[0]!;
  return tensors.filter(({ type, data }) => type === 'INT8' && data !== null);
}

test('static quantization leaves stored weights as they are', async () => {
  for (const decoded of [false, true]) {
    const model = net(filters([0.01, 0.02]), decoded);
    // oxlint-disable-next-line no-await-in-loop -- one model after the other
    const made = quantizeStatic(model, await observe(model, SAMPLES), STATIC);
    expect(made.ops).toMatchObject([{ op: 'CONV_2D', precision: 'integer' }]);
    const [weights, ...others] = weightsOf(made.model);
    expect(others).toEqual([]);
    expect(weights?.data).toEqual(filters([1]).data);
    expect(weights?.quantization?.scale).toEqual([0.01, 0.02]);
    const convolution = made.model.subgraphs[0]!.operators.find(({ op }) => op === 'CONV_2D');
    expect(convolution?.version).toBe(3);
    // oxlint-disable-next-line no-await-in-loop -- as above
    const [was, now] = [
      await run(net(filters([0.01, 0.02]), true), SAMPLES[1]!),
      await run(made.model, SAMPLES[1]!),
    ];
    const [a, b] = [was['y']!.data as Float32Array, now['y']!.data as Float32Array];
    const [noise, power] = a.reduce(
      ([n, p], one, at) => [n + (one - b[at]!) ** 2, p + one ** 2] as [number, number],
      [0, 0] as [number, number],
    );
    expect(10 * Math.log10(power / noise)).toBeGreaterThan(30);
  }
});

test('what is excluded stays with its stored weights', async () => {
  const model = net(filters([0.01, 0.02]));
  const two = tinyTflite({
    tensors: [...model.subgraphs[0]!.tensors, value('z', [1, 4, 4, 2]), filtersFor2()],
    inputs: [0],
    outputs: [5],
    operators: [conv([0, 1, 4], 3), conv([3, 6, 4], 5)],
  });
  const statistics = await observe(two, SAMPLES);
  const made = quantizeStatic(two, statistics, { ...STATIC, excluded: ['y'] });
  expect(made.ops).toMatchObject([
    { precision: 'integer', reason: expect.stringContaining('int8') },
    { precision: 'integer' },
  ]);
  const [first] = made.model.subgraphs[0]!.operators;
  expect(first).toMatchObject({ op: 'CONV_2D' });
  await expect(run(made.model, SAMPLES[0]!)).resolves.toHaveProperty('z');
});

const filtersFor2 = () => ({
  ...constant(
    'w2',
    Int8Array.from({ length: 36 }, (_, at) => (at % 19) - 9),
    { shape: [2, 3, 3, 2] },
  ),
  quantization: makeQuantization([0.02], [0], 0),
});

describeWithCorpus('the corpus', () => {
  test('a keyword spotter with dynamic-range convolutions', () => {
    const model = openTflite(readFileSync(corpusPath('models/mlptiny_kws_fp32.tflite')));
    const { stored } = decodedOf(model);
    expect(stored.size).toBe(5);
    for (const tensor of stored.values()) expect(isReusable(tensor, 0)).toBe(true);
    for (const again of [quantizeDynamic, quantizeWeights]) {
      expect(() => again(model, STATIC)).toThrow('weights');
    }
  });

  test('a model whose weights a DEQUANTIZE decodes, per channel', () => {
    const model = openTflite(readFileSync(corpusPath('models/aeq/mnist_quantized.tflite')));
    const scales = [...decodedOf(model).stored.values()].map(
      ({ quantization }) => quantization?.scale.length ?? 0,
    );
    expect(scales.filter((count) => count > 1)).toHaveLength(3);
  });
});
