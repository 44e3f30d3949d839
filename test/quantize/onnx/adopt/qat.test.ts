import { expect, test } from '@jest/globals';
import { makeNode } from '../../../../agent/model/onnx/graph.ts';
import type { OnnxModel } from '../../../../agent/model/onnx/open.ts';
import {
  DataType,
  floatTensor,
  makeTensor,
  tensorData,
} from '../../../../agent/model/onnx/tensor.ts';
import { adoptQuantized } from '../../../../agent/quantize/onnx/adopt/adopt.ts';
import { tinyModel } from '../../../support/onnx-models.ts';
import { kernelsOf, randomTensor, randomValues, randoms, weights } from '../../support.ts';
import { fake, formChange, grid, opsOf, s8, u8 } from './support.ts';

const next = randoms(5);
const U8 = { activations: 'u8' } as const;
const x = randomTensor(next, [1, 4, 8, 8], 2);
const values = (...dims: number[]) =>
  randomValues(
    next,
    dims.reduce((a, b) => a * b, 1),
    0.5,
  );

/** As PyTorch exports it: the factor of the BatchNormalization is in the weights and divided away. */
const PYTORCH = tinyModel({
  inputs: { x: [DataType.FLOAT, [1, 4, 8, 8]] },
  outputs: { y: [DataType.FLOAT] },
  initializers: [
    ...grid('x', 0.02, makeTensor('z', DataType.UINT8, [1], Uint8Array.of(100))),
    weights('w', [4, 4, 3, 3], values(4, 4, 3, 3)),
    floatTensor('w_scale', [0.01, 0.008, 0.009, 0.01]),
    s8('w_zero_shared', 0, 0, 0, 0),
    weights('factor', [1, 4, 1, 1], [0.5, -2, 1.5, 1]),
    floatTensor('gamma', [1, -1.2, 0.7, 0]),
    floatTensor('beta', [0.1, -0.2, 0.3, 0.4]),
    floatTensor('mean', [0.5, 0.1, -0.3, 0]),
    floatTensor('variance', [1, 0.5, 2, 1]),
    ...grid('a', 0.03, u8('z', 0)),
    weights('v', [4, 1, 3, 3], values(4, 1, 3, 3)),
    ...grid('v', 0.01, s8('z', 0)),
    weights('bias', [4], [0.3, -0.1, 0.2, 0]),
    ...grid('c', 0.03, u8('z', 128)),
    ...grid('y', 0.05, u8('z', 60)),
  ],
  nodes: [
    makeNode('Identity', ['w_zero_shared'], ['w_zero']),
    ...fake('x', 'x1', 'x'),
    ...fake('w', 'w1', 'w', 0),
    makeNode('Conv', ['x1', 'w1'], ['conv'], { attributes: { pads: [1n, 1n, 1n, 1n] } }),
    makeNode('Div', ['conv', 'factor'], ['divided']),
    makeNode('BatchNormalization', ['divided', 'gamma', 'beta', 'mean', 'variance'], ['normal']),
    makeNode('Relu', ['normal'], ['rectified']),
    ...fake('rectified', 'a1', 'a'),
    ...fake('v', 'v1', 'v'),
    makeNode('Conv', ['a1', 'v1', 'bias'], ['deep'], {
      attributes: { pads: [1n, 1n, 1n, 1n], group: 4n },
    }),
    ...fake('deep', 'c1', 'c'),
    makeNode('Add', ['c1', 'a1'], ['sum']),
    ...fake('sum', 'y', 'y'),
  ],
});

test('a PyTorch QAT export runs in integer kernels and keeps its numbers', async () => {
  const { model, kind, changes, ops } = adoptQuantized(PYTORCH, U8);
  expect(kind).toBe('qdq');
  expect(changes).toEqual([
    'weights stored as integers',
    'arithmetic behind convolutions folded into weight scales and biases',
    'clamps left out that quantization implies',
    'biases stored as int32',
  ]);
  expect(ops.map(({ op, precision }) => `${op} ${precision}`)).toEqual([
    'Conv integer',
    'Conv integer',
    'Add integer',
  ]);
  expect(await formChange(PYTORCH, model, { x })).toBeGreaterThan(40);
  const kernels = await kernelsOf(model, { x });
  expect(kernels.filter((op) => op === 'QLinearConv')).toHaveLength(2);
  expect(kernels).toContain('QLinearAdd');
  expect(kernels).not.toContain('Conv');
});

/** x -> Conv of one weight per channel -> Mul by a factor per channel. */
function scaledConv(stored: readonly number[], factors: readonly number[]): OnnxModel {
  return tinyModel({
    inputs: { x: [DataType.FLOAT, [1, 1, 2, 2]] },
    outputs: { y: [DataType.FLOAT] },
    initializers: [
      ...grid('x', 0.5, u8('z', 128)),
      makeTensor('w', DataType.INT8, [stored.length, 1, 1, 1], Int8Array.from(stored)),
      ...grid('w', 0.25, s8('z', 0)),
      weights('factor', [stored.length, 1, 1], factors),
      ...grid('y', 0.5, u8('z', 128)),
    ],
    nodes: [
      ...fake('x', 'x1', 'x'),
      makeNode('DequantizeLinear', ['w', 'w_scale', 'w_zero'], ['w1']),
      makeNode('Conv', ['x1', 'w1'], ['conv']),
      makeNode('Mul', ['conv', 'factor'], ['scaled']),
      ...fake('scaled', 'y', 'y'),
    ],
  });
}

function storedWeights({ graph }: OnnxModel): number[][] {
  return graph.initializer
    .filter(({ dataType, dims }) => dataType === DataType.INT8 && dims.length === 4)
    .map((tensor) => Array.from(tensorData(tensor), Number));
}

test('a factor goes into the scale; a negative one turns the sign of the integers', async () => {
  const before = scaledConv([64, 50, 33], [2, -0.5, 1]);
  const { model } = adoptQuantized(before, U8);
  expect(storedWeights(model)).toEqual([[64, -50, 33]]);
  const image = randomTensor(next, [1, 1, 2, 2], 20);
  expect(await formChange(before, model, { x: image })).toBeGreaterThan(60);
});

test('-128 has no opposite: such a convolution runs in float, with float weights', async () => {
  const before = scaledConv([-128, 3], [-1, 1]);
  const { model, ops } = adoptQuantized(before, U8);
  expect(ops.find(({ op }) => op === 'Conv')?.precision).toBe('float');
  const image = randomTensor(next, [1, 1, 2, 2], 20);
  expect(await formChange(before, model, { x: image })).toBeGreaterThan(60);
});

test('a bias too large for its steps makes the weights coarser, not the sum wrong', async () => {
  const before = tinyModel({
    inputs: { x: [DataType.FLOAT, [1, 1, 2, 2]] },
    outputs: { y: [DataType.FLOAT] },
    initializers: [
      ...grid('x', 0.01, u8('z', 0)),
      weights('w', [2, 1, 1, 1], [1e-9, 0.5]),
      floatTensor('w_scale', [1e-10, 0.5 / 64]),
      s8('w_zero', 0, 0),
      floatTensor('bias', [3, -0.2]),
      ...grid('y', 0.02, u8('z', 20)),
    ],
    nodes: [
      ...fake('x', 'x1', 'x'),
      ...fake('w', 'w1', 'w', 0),
      makeNode('Conv', ['x1', 'w1', 'bias'], ['conv']),
      ...fake('conv', 'y', 'y'),
    ],
  });
  const { model } = adoptQuantized(before, U8);
  const image = randomTensor(next, [1, 1, 2, 2], 2);
  expect(await formChange(before, model, { x: image })).toBeGreaterThan(60);
  expect(await kernelsOf(model, { x: image })).toContain('QLinearConv');
});

test('pooling between quantized layers works on integers', async () => {
  const before = tinyModel({
    inputs: { x: [DataType.FLOAT, [1, 4, 8, 8]] },
    outputs: { y: [DataType.FLOAT] },
    initializers: [
      ...grid('x', 0.02, u8('z', 100)),
      weights('w', [4, 4, 1, 1], values(4, 4, 1, 1)),
      ...grid('w', 0.01, s8('z', 0)),
      ...grid('y', 0.03, u8('z', 120)),
    ],
    nodes: [
      ...fake('x', 'x1', 'x'),
      makeNode('MaxPool', ['x1'], ['pooled'], { attributes: { kernel_shape: [2n, 2n] } }),
      ...fake('w', 'w1', 'w'),
      makeNode('Conv', ['pooled', 'w1'], ['conv']),
      makeNode('Transpose', ['conv'], ['turned'], { attributes: { perm: [0n, 2n, 3n, 1n] } }),
      ...fake('turned', 'y', 'y'),
    ],
  });
  const { model, changes, ops } = adoptQuantized(before, U8);
  expect(changes).toContain('layout operators moved onto integers');
  expect(ops.every(({ precision }) => precision === 'integer')).toBe(true);
  expect(opsOf(model).filter((op) => op === 'QuantizeLinear')).toHaveLength(2);
  expect(await formChange(before, model, { x })).toBeGreaterThan(40);
  expect(await kernelsOf(model, { x })).toContain('QLinearConv');
});

test('a Relu before int8 with zero point 0, as TensorRT trains it, becomes a Clip on integers', async () => {
  const before = tinyModel({
    inputs: { x: [DataType.FLOAT, [1, 4, 8, 8]] },
    outputs: { y: [DataType.FLOAT] },
    initializers: [
      ...grid('x', 0.02, s8('z', 0)),
      weights('w', [4, 4, 1, 1], values(4, 4, 1, 1)),
      ...grid('w', 0.01, s8('z', 0)),
      ...grid('y', 0.004, s8('z', 0)),
    ],
    nodes: [
      ...fake('x', 'x1', 'x'),
      ...fake('w', 'w1', 'w'),
      makeNode('Conv', ['x1', 'w1'], ['conv']),
      makeNode('Relu', ['conv'], ['rectified']),
      makeNode('MaxPool', ['rectified'], ['pooled'], { attributes: { kernel_shape: [2n, 2n] } }),
      ...fake('pooled', 'y', 'y'),
    ],
  });
  for (const activations of ['u8', 's8'] as const) {
    const { model, changes, ops } = adoptQuantized(before, { activations });
    expect(changes).toContain('clamps moved onto integers');
    expect(ops.every(({ precision }) => precision === 'integer')).toBe(true);
    expect(await formChange(before, model, { x })).toBeGreaterThan(40);
  }
  // Only ARM has int8 kernels.
  const { model } = adoptQuantized(before, { activations: 'u8' });
  expect(await kernelsOf(model, { x })).toContain('QLinearConv');
});

test('int8 activations become uint8 where the CPU wants them, and stay where it does not', async () => {
  const before = tinyModel({
    inputs: { x: [DataType.FLOAT, [1, 4, 8, 8]] },
    outputs: { y: [DataType.FLOAT] },
    initializers: [...grid('x', 0.02, s8('z', -20))],
    nodes: [
      makeNode('QuantizeLinear', ['x', 'x_scale', 'x_zero'], ['q']),
      makeNode('MaxPool', ['q'], ['p'], { attributes: { kernel_shape: [2n, 2n] } }),
      makeNode('DequantizeLinear', ['p', 'x_scale', 'x_zero'], ['y']),
    ],
  });
  expect(adoptQuantized(before, { activations: 's8' })).toMatchObject({
    changes: [],
    model: before,
  });
  const { model } = adoptQuantized(before, U8);
  const types = model.graph.initializer.map(({ dataType }) => dataType);
  expect(types).not.toContain(DataType.INT8);
  expect(await formChange(before, model, { x })).toBe(Infinity);
});

test('an old opset, and what is in the best form already, is given back as it is', () => {
  const initializers = [...grid('x', 0.02, u8('z', 0))];
  for (const opset of [10, 13]) {
    const model = tinyModel({
      inputs: { x: [DataType.FLOAT, [2]] },
      outputs: { y: [DataType.FLOAT] },
      initializers,
      nodes: fake('x', 'y', 'x'),
      opset,
    });
    const adopted = adoptQuantized(model, U8);
    expect(adopted).toMatchObject({ kind: 'qdq', changes: [] });
    expect(adopted.model).toBe(model);
  }
});

test('weights of a model that quantizes no activations stay small', () => {
  const model = tinyModel({
    inputs: { x: [DataType.FLOAT, [1, 2]] },
    outputs: { y: [DataType.FLOAT] },
    initializers: [
      makeTensor('w', DataType.INT8, [2, 2], Int8Array.of(1, 2, 3, 4)),
      ...grid('w', 0.1, s8('z', 0)),
    ],
    nodes: [
      makeNode('DequantizeLinear', ['w', 'w_scale', 'w_zero'], ['w1']),
      makeNode('MatMul', ['x', 'w1'], ['y']),
    ],
  });
  const adopted = adoptQuantized(model, U8);
  expect(adopted.model).toBe(model);
  expect(adopted.ops).toMatchObject([{ op: 'MatMul', precision: 'float' }]);
});

test('a float model is refused', () => {
  const model = tinyModel({
    inputs: { x: [DataType.FLOAT, [1]] },
    outputs: { y: [DataType.FLOAT] },
    nodes: [makeNode('Relu', ['x'], ['y'])],
  });
  expect(() => adoptQuantized(model, U8)).toThrow('the model is not quantized yet');
});
