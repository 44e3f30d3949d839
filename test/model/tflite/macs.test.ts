import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { integerCoverage, macsOf } from '../../../agent/model/tflite/macs.ts';
import { openTflite } from '../../../agent/model/tflite/open.ts';
import { makeOperator, makeQuantization } from '../../../agent/model/tflite/types.ts';
import type { TfliteOperator } from '../../../agent/model/tflite/types.ts';
import { corpusPath, describeWithCorpus } from '../../support/corpus.ts';
import { constant, tinySubgraph, tinyTflite, value } from '../../support/tflite-models.ts';

type Shape = readonly number[];

const adjX = {
  kind: 'BatchMatMulOptions',
  adjX: true,
  adjY: false,
  asymmetricQuantizeInputs: false,
};

test.each<[TfliteOperator['op'], readonly Shape[], Shape, number, TfliteOperator['options']?]>([
  // 5 x 5 places, 16 filters of 3 x 3 x 8.
  [
    'CONV_2D',
    [
      [1, 9, 9, 8],
      [16, 3, 3, 8],
    ],
    [1, 5, 5, 16],
    5 * 5 * 16 * 3 * 3 * 8,
  ],
  // The same with filters that see a half of the channels.
  [
    'CONV_2D',
    [
      [1, 9, 9, 8],
      [16, 3, 3, 4],
    ],
    [1, 5, 5, 16],
    5 * 5 * 16 * 3 * 3 * 4,
  ],
  [
    'DEPTHWISE_CONV_2D',
    [
      [1, 9, 9, 8],
      [1, 3, 3, 16],
    ],
    [1, 5, 5, 16],
    5 * 5 * 16 * 9,
  ],
  // Every one of 4 x 4 x 8 values goes into 3 x 3 x 16 places.
  ['TRANSPOSE_CONV', [[4], [16, 3, 3, 8], [1, 4, 4, 8]], [1, 8, 8, 16], 4 * 4 * 8 * 3 * 3 * 16],
  [
    'CONV_3D',
    [
      [1, 4, 4, 4, 2],
      [2, 2, 2, 2, 6],
    ],
    [1, 3, 3, 3, 6],
    27 * 6 * 16,
  ],
  [
    'FULLY_CONNECTED',
    [
      [5, 7],
      [11, 7],
    ],
    [5, 11],
    5 * 7 * 11,
  ],
  [
    'BATCH_MATMUL',
    [
      [2, 3, 5],
      [2, 5, 7],
    ],
    [2, 3, 7],
    2 * 3 * 5 * 7,
  ],
  [
    'BATCH_MATMUL',
    [
      [2, 5, 3],
      [2, 5, 7],
    ],
    [2, 3, 7],
    2 * 3 * 5 * 7,
    adjX as TfliteOperator['options'],
  ],
  // 6 steps of 2 sequences, [4, 3] and [4, 4].
  [
    'UNIDIRECTIONAL_SEQUENCE_RNN',
    [
      [2, 6, 3],
      [4, 3],
      [4, 4],
    ],
    [2, 6, 4],
    12 * (12 + 16),
  ],
  [
    'SVDF',
    [
      [2, 3],
      [8, 3],
      [8, 10],
    ],
    [2, 4],
    2 * (24 + 80),
  ],
  ['ADD', [[4], [4]], [4], 0],
])('%s of %j makes %j', (op, inputs, output, macs, options = null) => {
  const graph = tinySubgraph({
    tensors: [...inputs.map((shape) => value('in', shape)), value('out', output)],
  });
  const operator = makeOperator({
    op,
    inputs: inputs.map((_, index) => index),
    outputs: [inputs.length],
    options,
  });
  expect(macsOf(graph, operator)).toBe(macs);
});

test('an LSTM: its eight matrices, each once a step; biases and states multiply nothing', () => {
  const matrices = [3, 3, 3, 3, 5, 5, 5, 5].map((depth) => [5, depth]);
  const shapes = [[1, 10, 3], ...matrices];
  const tensors = [...shapes.map((shape) => value('in', shape)), value('bias', [5]), value('out')];
  const operator = makeOperator({
    op: 'UNIDIRECTIONAL_SEQUENCE_LSTM',
    inputs: [0, 1, 2, 3, 4, 5, 6, 7, 8, -1, -1, -1, 9, 9, 9, 9, -1, -1],
    outputs: [10],
  });
  expect(macsOf(tinySubgraph({ tensors }), operator)).toBe(10 * (4 * 15 + 4 * 25));
});

const stored = {
  ...constant('w8', new Int8Array(12), { shape: [3, 4] }),
  quantization: makeQuantization([1], [0]),
};
const quantized = (name: string, shape: Shape) => ({
  ...value(name, shape, 'INT8'),
  quantization: makeQuantization([1], [0]),
});

const coverage = (
  tensors: readonly ReturnType<typeof value>[],
  extra: readonly TfliteOperator[] = [],
) =>
  integerCoverage(
    tinyTflite({
      tensors,
      inputs: [0],
      outputs: [2],
      operators: [makeOperator({ op: 'FULLY_CONNECTED', inputs: [0, 1], outputs: [2] }), ...extra],
    }),
  );

test('integers: quantized activations, or 8-bit weights with float ones', () => {
  const floats = [value('x', [1, 4]), constant('w', new Float32Array(12), { shape: [3, 4] })];
  expect(coverage([...floats, value('y', [1, 3])])).toEqual({
    integerMacs: 0,
    totalMacs: 12,
    coverage: 0,
  });
  const hybrid = [value('x', [1, 4]), stored, value('y', [1, 3])];
  expect(coverage(hybrid)).toEqual({ integerMacs: 12, totalMacs: 12, coverage: 1 });
  expect(coverage([quantized('x', [1, 4]), stored, quantized('y', [1, 3])]).coverage).toBe(1);
});

test('what custom operators do is not known, where there is nothing there is no share', () => {
  const hybrid = [value('x', [1, 4]), stored, value('y', [1, 3]), value('z')];
  const custom = makeOperator({ op: 'CUSTOM', customCode: 'Magic', inputs: [2], outputs: [3] });
  expect(coverage(hybrid, [custom])).toMatchObject({ totalMacs: 12, coverage: null });
  expect(
    integerCoverage(tinyTflite({ tensors: [value('x')], inputs: [0], outputs: [0] })).coverage,
  ).toBeNull();
});

describeWithCorpus('the corpus', () => {
  const of = (name: string) =>
    integerCoverage(openTflite(readFileSync(corpusPath(`models/${name}.tflite`))));

  test('float and int8 of one network make the same multiplications', () => {
    // MLPerf Tiny publishes 12.5 million for this ResNet.
    expect(of('mlptiny_ic_resnet_fp32')).toEqual({
      integerMacs: 0,
      totalMacs: 12_501_632,
      coverage: 0,
    });
    expect(of('mlptiny_ic_resnet_int8').integerMacs).toBe(12_501_632);
    expect(of('mobilenet_v1_025_224_fp32').totalMacs / 1e6).toBeCloseTo(41, 0);
  });

  test('a model of which a part is quantized', () => {
    const { integerMacs, totalMacs, coverage: share } = of('aeq/partly_quantized_mnist');
    expect(share).toBe(integerMacs / totalMacs);
    expect(share).toBeGreaterThan(0.4);
    expect(share).toBeLessThan(0.5);
  });
});
