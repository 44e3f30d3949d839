import { expect, test } from '@jest/globals';
import { schemePresets } from '../../../agent/contracts/scheme.ts';
import type { Scheme } from '../../../agent/contracts/scheme.ts';
import { tensorNumbers } from '../../../agent/model/tflite/tensor.ts';
import { makeOperator, optionsOf } from '../../../agent/model/tflite/types.ts';
import { quantizeDynamic } from '../../../agent/quantize/tflite/dynamic.ts';
import {
  add,
  constant,
  throughFile,
  tfliteBytes,
  tinyTflite,
  value,
} from '../../support/tflite-models.ts';
import {
  batchMatMul,
  conv,
  dense,
  depthwise,
  listing,
  oneLayer,
  plain,
  ramp,
  smallNet,
  tensorNamed,
  weights,
} from './layers.ts';
import { floats, sqnr } from '../support.ts';
import { run } from './support.ts';

const scheme: Scheme = schemePresets['int8-dynamic'];

test('a network: weights per channel, products as convolutions, small ones stay', () => {
  const { model, ops } = quantizeDynamic(smallNet(), scheme);
  expect(listing(model)).toEqual([
    'CONV_2D.5(image, filters_int8, filter bias) -> features',
    'RESHAPE.1(features, shape) -> flat',
    'RESHAPE.1(flat, shape_1) -> flat_pixels',
    'CONV_2D.5(flat_pixels, dense_int8, bias) -> hidden_pixels',
    'RESHAPE.1(hidden_pixels, shape_2) -> hidden',
    'FULLY_CONNECTED.1(hidden, small, -) -> scores',
  ]);
  expect(ops).toEqual([
    { node: 'features', op: 'CONV_2D', precision: 'integer' },
    { node: 'flat', op: 'RESHAPE', precision: 'float', reason: 'has no weights to quantize' },
    { node: 'hidden', op: 'FULLY_CONNECTED', precision: 'integer' },
    {
      node: 'scores',
      op: 'FULLY_CONNECTED',
      precision: 'float',
      reason: 'has fewer than 1024 weights',
    },
  ]);
  const filters = tensorNamed(model, 'filters_int8');
  expect(filters.quantization).toMatchObject({ axis: 0 });
  // The first filter runs from -0.5 to -0.429, so its scale is 0.5 / 127.
  expect(filters.quantization?.scale).toHaveLength(32);
  expect(filters.quantization?.scale[0]).toBe(Math.fround(0.5 / 127));
  expect(tensorNumbers(filters).slice(0, 2)).toEqual([-127, -127]);
  const products = tensorNamed(model, 'dense_int8');
  expect(products.shape).toEqual([40, 1, 1, 512]);
  expect(products.quantization?.scale).toHaveLength(40);
  // Without a bias of its own it has one of zeros.
  expect(tensorNumbers(tensorNamed(model, 'bias'))).toEqual(Array(40).fill(0));
  expect(() => tensorNamed(model, 'dense')).toThrow('no tensor dense');
});

test('a quarter of the bytes, and the same after it has been to a file', () => {
  const { model } = quantizeDynamic(smallNet(), scheme);
  const saved = tfliteBytes(smallNet()).length - tfliteBytes(model).length;
  // 3 of 4 bytes of 2304 and 20480 weights; 31 and 39 scales and zero points of 4 and 8 bytes more, a
  // bias of 40 floats, and what three operators and four tensors take.
  const weightsSaved = (2304 + 20480) * 3;
  expect(saved).toBeLessThan(weightsSaved - 70 * 12 - 160);
  expect(saved).toBeGreaterThan(weightsSaved - 72 * 12 - 160 - 1024);
  expect(listing(throughFile(model))).toEqual(listing(model));
});

test('activations get zero points where the operator has a choice', () => {
  const { model } = quantizeDynamic(smallNet(), { ...scheme, perChannel: false });
  const options = model.subgraphs[0]!.operators.map(
    (one) => optionsOf(one, 'FullyConnectedOptions')?.asymmetricQuantizeInputs,
  );
  expect(options).toEqual([undefined, undefined, true, false]);
});

test('a product whose result has no known shape, or per tensor by request, stays a product', () => {
  const model = oneLayer([value('x', [1, 64]), weights('w', [32, 64]), value('y')], dense);
  expect(listing(quantizeDynamic(model, scheme).model)).toEqual([
    'FULLY_CONNECTED.9(x, w_int8) -> y',
  ]);
  const perTensor = quantizeDynamic(smallNet(), { ...scheme, perChannel: false }).model;
  expect(listing(perTensor)[2]).toBe('FULLY_CONNECTED.9(flat, dense_int8, -) -> hidden');
});

test('depthwise convolutions are per channel of their last axis whatever the scheme says', () => {
  const model = oneLayer(
    [value('x', [1, 4, 4, 128]), weights('w', [1, 3, 3, 128]), weights('b', [128]), value('y')],
    depthwise,
  );
  const result = quantizeDynamic(model, { ...scheme, perChannel: false }).model;
  expect(listing(result)).toEqual(['DEPTHWISE_CONV_2D.6(x, w_int8, b) -> y']);
  expect(tensorNamed(result, 'w_int8').quantization).toMatchObject({ axis: 3 });
  expect(tensorNamed(result, 'w_int8').quantization?.scale).toHaveLength(128);
});

test('filters of one size compute what others do, although 2.9 gives zeros for equal scales', async () => {
  // Every filter reaches 1, so that every scale would be 1 / 127.
  const filters = Float32Array.from({ length: 2304 }, (_, i) => (i % 72 === 0 ? 1 : (i % 7) / 14));
  const model = oneLayer(
    [
      value('x', [1, 4, 4, 8]),
      weights('w', [32, 3, 3, 8], filters),
      weights('b', [32]),
      value('y', [1, 4, 4, 32]),
    ],
    conv,
  );
  const { model: made } = quantizeDynamic(model, scheme);
  const { scale = [] } = tensorNamed(made, 'w_int8').quantization ?? {};
  expect(scale.slice(0, -1)).toEqual(Array(31).fill(Math.fround(1 / 127)));
  expect(scale.at(-1)).toBeCloseTo(1 / 127, 8);
  expect(scale.at(-1)).toBeGreaterThan(scale[0] ?? 1);
  const x = { x: { dtype: 'float32', shape: [1, 4, 4, 8], data: ramp(128, 1 / 64, -1) } } as const;
  const [float, quantized] = [await run(model, x), await run(made, x)];
  expect(sqnr(floats(float['y']?.data), floats(quantized['y']?.data))).toBeGreaterThan(35);
});

test('a convolution of one filter, or per tensor by request, has the older version', () => {
  const one = oneLayer(
    [value('x', [1, 4, 4, 128]), weights('w', [1, 3, 3, 128]), weights('b', [1]), value('y')],
    conv,
  );
  expect(listing(quantizeDynamic(one, scheme).model)).toEqual(['CONV_2D.2(x, w_int8, b) -> y']);
  const perTensor = quantizeDynamic(smallNet(), { ...scheme, perChannel: false }).model;
  expect(listing(perTensor)[0]).toBe('CONV_2D.2(image, filters_int8, filter bias) -> features');
});

test('versions never go down', () => {
  const model = oneLayer([value('x', [1, 64]), weights('w', [32, 64]), value('y')], (inputs, to) =>
    dense(inputs, to, { version: 11 }),
  );
  expect(listing(quantizeDynamic(model, scheme).model)).toEqual([
    'FULLY_CONNECTED.11(x, w_int8) -> y',
  ]);
});

test('a matrix product with a constant on the right', () => {
  const model = oneLayer(
    [value('x', [2, 4, 32]), weights('w', [32, 48]), value('y', [2, 4, 48])],
    batchMatMul,
  );
  const result = quantizeDynamic(model, scheme).model;
  expect(listing(result)).toEqual(['BATCH_MATMUL.4(x, w_int8) -> y']);
  expect(
    optionsOf(result.subgraphs[0]!.operators[0]!, 'BatchMatMulOptions')?.asymmetricQuantizeInputs,
  ).toBe(true);
});

test('matrix products on which the kernel of TFLite 2.9 fails stay in float', () => {
  const transposed = oneLayer(
    [value('x', [2, 4, 32]), weights('w', [48, 32]), value('y', [2, 4, 48])],
    (inputs, to) => batchMatMul(inputs, to, { adjY: true }),
  );
  expect(() => quantizeDynamic(transposed, scheme)).toThrow('nothing to quantize dynamically');
  const batches = (shape: readonly number[]) =>
    oneLayer([value('x', shape), weights('w', [32, 48]), value('y', [1])], batchMatMul);
  expect(() => quantizeDynamic(batches([2, 3, 4, 32]), scheme)).toThrow('nothing to quantize');
  expect(listing(quantizeDynamic(batches([1, 3, 4, 32]), scheme).model)).toEqual([
    'BATCH_MATMUL.4(x, w_int8) -> y',
  ]);
});

test('a table stays in 8 bits until after the values were gathered', () => {
  const model = tinyTflite({
    tensors: [value('ids', [4], 'INT32'), weights('table', [64, 32]), value('rows', [4, 32])],
    inputs: [0],
    outputs: [2],
    operators: [
      makeOperator({
        op: 'GATHER',
        inputs: [1, 0],
        outputs: [2],
        options: { kind: 'GatherOptions', axis: 0, batchDims: 0 },
      }),
    ],
  });
  const result = quantizeDynamic(model, scheme).model;
  expect(listing(result)).toEqual([
    'GATHER.2(table_int8, ids) -> rows_int8',
    'DEQUANTIZE.2(rows_int8) -> rows',
  ]);
  expect(tensorNamed(result, 'rows_int8')).toMatchObject({ type: 'INT8', shape: [4, 32] });
  expect(tensorNamed(result, 'rows_int8').quantization?.scale).toEqual(
    tensorNamed(result, 'table_int8').quantization?.scale,
  );
});

test('gathering from what is computed, or numbers of another kind, is no table', () => {
  const gather = (inputs: readonly number[], output: number) =>
    makeOperator({
      op: 'GATHER',
      inputs,
      outputs: [output],
      options: { kind: 'GatherOptions', axis: 0, batchDims: 0 },
    });
  const model = tinyTflite({
    tensors: [
      ...smallNet().subgraphs[0]!.tensors,
      constant('numbers', new Int32Array(2048)),
      value('picked', [2], 'INT32'),
      value('some', [3]),
    ],
    inputs: [0],
    outputs: [8],
    operators: [...smallNet().subgraphs[0]!.operators, gather([10, 9], 11), gather([8, 9], 12)],
  });
  const { ops } = quantizeDynamic(model, scheme);
  expect(ops.slice(-2).map(({ reason }) => reason)).toEqual([
    'has no weights to quantize',
    'has no weights to quantize',
  ]);
});

test('all weights of an LSTM change, small peepholes too, its biases do not', () => {
  const model = tinyTflite({
    tensors: [
      value('x', [1, 5, 40]),
      weights('input', [32, 40]),
      weights('recurrent', [32, 32]),
      weights('peephole', [32]),
      weights('bias', [32]),
      { ...value('h', [1, 32]), isVariable: true },
      { ...value('c', [1, 32]), isVariable: true },
      value('y', [1, 5, 32]),
    ],
    inputs: [0],
    outputs: [7],
    operators: [
      makeOperator({
        op: 'UNIDIRECTIONAL_SEQUENCE_LSTM',
        inputs: [0, -1, 1, 1, 1, -1, 2, 2, 2, -1, 3, 3, -1, 4, 4, 4, -1, -1, 5, 6, -1, -1, -1, -1],
        outputs: [7],
        options: {
          kind: 'UnidirectionalSequenceLSTMOptions',
          fusedActivationFunction: 'TANH',
          cellClip: 0,
          projClip: 0,
          timeMajor: false,
          asymmetricQuantizeInputs: false,
          diagonalRecurrentTensors: false,
        },
      }),
    ],
  });
  expect(listing(quantizeDynamic(model, scheme).model)).toEqual([
    'UNIDIRECTIONAL_SEQUENCE_LSTM.3(x, -, input_int8, input_int8, input_int8, -, recurrent_int8, recurrent_int8, recurrent_int8, -, peephole_int8, peephole_int8, -, bias, bias, bias, -, -, h, c, -, -, -, -) -> y',
  ]);
});

test('a constant that others read too: they get it from one DEQUANTIZE', () => {
  const model = tinyTflite({
    tensors: [
      value('x', [32, 64]),
      weights('w', [32, 64]),
      value('sum', [32, 64]),
      value('product', [32, 32]),
      value('again', [32, 64]),
    ],
    inputs: [0],
    outputs: [3, 4],
    operators: [add(0, 1, 2), dense([2, 1, -1], 3), add(2, 1, 4)],
  });
  const result = quantizeDynamic(model, scheme).model;
  expect(listing(result)).toEqual([
    'DEQUANTIZE.5(w_int8) -> w',
    'ADD.1(x, w) -> sum',
    'RESHAPE.1(sum, shape) -> sum_pixels',
    'CONV_2D.5(sum_pixels, w_int8, bias) -> product_pixels',
    'RESHAPE.1(product_pixels, shape_1) -> product',
    'ADD.1(sum, w) -> again',
  ]);
  expect(tensorNamed(result, 'w').data).toBeNull();
});

test('tensors that share their bytes, in any subgraph, are stored once', () => {
  const shared = ramp(2048, 0.001, -1);
  const data = new Uint8Array(shared.buffer);
  const graph = (name: string) => ({
    name,
    tensors: [
      value('x', [1, 64]),
      constant('w', shared, { shape: [32, 64], data }),
      value('y', [1, 32]),
    ],
    inputs: [0],
    outputs: [2],
    operators: [dense([0, 1, -1], 2)],
  });
  const adding = {
    name: 'adds',
    tensors: [value('x', [32, 64]), constant('v', shared, { shape: [32, 64], data }), value('y')],
    inputs: [0],
    outputs: [2],
    operators: [add(0, 1, 2)],
  };
  const model = tinyTflite([graph('one'), graph('two'), adding]);
  const result = quantizeDynamic(model, scheme).model;
  expect(listing(result, 2)).toEqual(['DEQUANTIZE.5(v_int8) -> v', 'ADD.1(x, v) -> y']);
  const tensors = result.subgraphs.flatMap((one) => one.tensors);
  const stored = tensors.filter(({ type }) => type === 'INT8');
  expect(stored).toHaveLength(3);
  expect(new Set(stored.map((one) => one.data)).size).toBe(1);
  expect(tfliteBytes(result).length).toBeLessThan(tfliteBytes(model).length - 2048 * 3 + 3072);
});

test('excluded operators stay, by name and by rule', () => {
  const { model, ops } = quantizeDynamic(smallNet(), { ...scheme, excluded: ['features'] });
  expect(listing(model)[0]).toBe('CONV_2D.1(image, filters, filter bias) -> features');
  expect(ops[0]?.reason).toBe('excluded by request');
  const rules = [{ op: 'FULLY_CONNECTED', precision: 'float' }] as const;
  const ruled = quantizeDynamic(smallNet(), { ...scheme, rules });
  expect(ruled.ops.map(({ precision }) => precision)).toEqual([
    'integer',
    'float',
    'float',
    'float',
  ]);
});

test.each([
  [
    'not finite',
    oneLayer(
      [value('x', [1, 64]), weights('w', [32, 64], ramp(2048).fill(NaN, 7, 8)), value('y')],
      dense,
    ),
  ],
  ['computed', oneLayer([value('x', [1, 64]), value('w', [32, 64]), value('y')], dense)],
  [
    'of an operator without such a kernel',
    oneLayer([value('x', [1, 8, 8, 16]), weights('w', [32, 3, 3, 16]), value('y')], ([x, w], to) =>
      plain('TRANSPOSE_CONV', [x!, w!], to),
    ),
  ],
])('weights that are %s: nothing to quantize', (_, model) => {
  expect(() => quantizeDynamic(model, scheme)).toThrow(
    expect.objectContaining({ code: 'NOTHING_TO_QUANTIZE' }),
  );
});

test('a model that was quantized so before is left as it is', () => {
  const { model } = quantizeDynamic(smallNet(), scheme);
  expect(() => quantizeDynamic(model, scheme)).toThrow('nothing to quantize dynamically');
  const rest = quantizeDynamic(
    quantizeDynamic(smallNet(), { ...scheme, excluded: ['features'] }).model,
    scheme,
  );
  expect(listing(rest.model)).toEqual(listing(model));
  expect(rest.ops.map(({ precision }) => precision)).toEqual([
    'integer',
    'float',
    'float',
    'integer',
    'float',
    'float',
  ]);
});

test('one product behind the other: pixels are handed on', () => {
  const model = tinyTflite({
    tensors: [
      value('x', [2, 64]),
      weights('w', [32, 64]),
      weights('b', [32]),
      value('h', [2, 32]),
      weights('v', [40, 32]),
      value('y', [2, 40]),
    ],
    inputs: [0],
    outputs: [5],
    operators: [dense([0, 1, 2], 3), dense([3, 4, -1], 5)],
  });
  expect(listing(quantizeDynamic(model, scheme).model)).toEqual([
    'RESHAPE.1(x, shape) -> x_pixels',
    'CONV_2D.5(x_pixels, w_int8, b) -> h_pixels',
    'CONV_2D.5(h_pixels, v_int8, bias) -> y_pixels',
    'RESHAPE.1(y_pixels, shape_2) -> y',
  ]);
});
