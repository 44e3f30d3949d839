import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { indexGraph } from '../../../agent/model/tflite/graph.ts';
import { openTflite } from '../../../agent/model/tflite/open.ts';
import { makeQuantization } from '../../../agent/model/tflite/types.ts';
import type { TfliteModel } from '../../../agent/model/tflite/types.ts';
import { storedWeights } from '../../../agent/quantize/tflite/stored-weights.ts';
import { corpusPath, describeWithCorpus } from '../../support/corpus.ts';
import { constant, tinyTflite, value } from '../../support/tflite-models.ts';
import { conv, plain, smallNet } from './layers.ts';

function found(model: TfliteModel) {
  const [graph] = model.subgraphs;
  return graph!.operators.map((one) => storedWeights(graph!, indexGraph(graph!), one, 1));
}

const filters = (scale: readonly number[], zeroPoint = scale.map(() => 0), axis = 0) => ({
  ...constant('w', new Int8Array(2 * 9), { shape: [2, 3, 3, 1] }),
  quantization: makeQuantization(scale, zeroPoint, axis),
});

const net = (weights: ReturnType<typeof filters>, decoded = false) =>
  tinyTflite({
    tensors: [
      value('x', [1, 4, 4, 1]),
      weights,
      value('f', [2, 3, 3, 1]),
      value('y', [1, 4, 4, 2]),
    ],
    inputs: [0],
    outputs: [3],
    operators: decoded ? [plain('DEQUANTIZE', [1], 2), conv([0, 2], 3)] : [conv([0, 1], 3)],
  });

test('weights of the operator itself, and those that a DEQUANTIZE reads', () => {
  expect(found(net(filters([1, 2])))).toMatchObject([{ index: 1, reusable: true }]);
  expect(found(net(filters([1]), true))).toMatchObject([undefined, { index: 1, reusable: true }]);
});

test('weights that integer kernels do not take as they are', () => {
  for (const weights of [
    filters([1, 2], [0, 3]),
    filters([1, 2, 3], undefined, 1),
    filters([1, 0]),
  ]) {
    expect(found(net(weights))).toMatchObject([{ reusable: false }]);
  }
});

test('float weights are none', () => {
  expect(found(smallNet())).toEqual([undefined, undefined, undefined, undefined]);
});

describeWithCorpus('the corpus', () => {
  test('a keyword spotter with dynamic-range convolutions', () => {
    const model = openTflite(readFileSync(corpusPath('models/mlptiny_kws_fp32.tflite')));
    const all = found(model).filter((one) => one !== undefined);
    expect(all).toHaveLength(5);
    expect(all.every(({ reusable }) => reusable)).toBe(true);
  });

  test('a model whose weights a DEQUANTIZE decodes, per channel', () => {
    const model = openTflite(readFileSync(corpusPath('models/aeq/mnist_quantized.tflite')));
    const scales = found(model).flatMap((one) => one?.tensor.quantization?.scale.length ?? []);
    expect(scales).toHaveLength(3);
    expect(Math.min(...scales)).toBeGreaterThan(1);
  });
});
