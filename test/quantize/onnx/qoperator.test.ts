import { expect, test } from '@jest/globals';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import { int64Tensor } from '../../../agent/model/onnx/tensor.ts';
import { toQOperator } from '../../../agent/quantize/onnx/qoperator.ts';
import { quantizeStatic } from '../../../agent/quantize/onnx/static.ts';
import { tinyModel } from '../../support/onnx-models.ts';
import {
  STATIC,
  floats,
  observe,
  randomTensor,
  randomValues,
  randoms,
  run,
  sizeOf,
  weights,
} from '../support.ts';
import { SATURATES } from './reference.ts';

const next = randoms(11);
const tensor = (name: string, ...dims: readonly number[]) =>
  weights(name, dims, randomValues(next, sizeOf(dims)));

test('integer operators compute the same as the QDQ form', async () => {
  const model = tinyModel({
    inputs: { x: [1, [1, 4, 8, 8]] },
    outputs: { y: [1] },
    initializers: [
      tensor('w', 6, 4, 3, 3),
      tensor('b', 6),
      tensor('w2', 6, 6, 1, 1),
      int64Tensor('shape', [1, -1]),
      tensor('g', 10, 192),
      tensor('gb', 10),
      tensor('m', 10, 5),
    ],
    nodes: [
      makeNode('Conv', ['x', 'w', 'b'], ['c'], { attributes: { pads: [1n, 1n, 1n, 1n] } }),
      makeNode('Relu', ['c'], ['r']),
      makeNode('Conv', ['r', 'w2'], ['c2']),
      makeNode('Add', ['c2', 'r'], ['a']),
      makeNode('Sigmoid', ['c2'], ['s']),
      makeNode('Mul', ['a', 's'], ['p']),
      makeNode('Concat', ['p', 'r'], ['k'], { attributes: { axis: 1n } }),
      makeNode('MaxPool', ['k'], ['q'], {
        attributes: { kernel_shape: [2n, 2n], strides: [2n, 2n] },
      }),
      makeNode('Reshape', ['q', 'shape'], ['f']),
      makeNode('Gemm', ['f', 'g', 'gb'], ['h'], {
        // As PyTorch exports it: both factors written out.
        attributes: { alpha: 1, beta: 1, transB: 1n },
      }),
      makeNode('MatMul', ['h', 'm'], ['y']),
    ],
  });
  const samples = [1, 2, 3].map(() => ({ x: randomTensor(next, [1, 4, 8, 8], 2) }));
  const scheme = { ...STATIC, reduceRange: SATURATES };
  const qdq = quantizeStatic(model, await observe(model, samples), scheme).model;
  const made = toQOperator(qdq);
  const ops = made.graph.node.map(({ opType }) => opType);
  expect(ops).toEqual([
    'QuantizeLinear',
    'QLinearConv',
    'QLinearConv',
    'QLinearAdd',
    'QLinearSigmoid',
    'QLinearMul',
    'QLinearConcat',
    'MaxPool',
    'Reshape',
    'QGemm',
    'MatMulIntegerToFloat',
  ]);
  for (const feeds of samples) {
    // oxlint-disable-next-line no-await-in-loop -- one session at a time
    const [a, b] = [await run(qdq, feeds), await run(made, feeds)];
    expect(floats(b['y']?.data)).toEqual(floats(a['y']?.data));
  }
});

test('what stays float keeps its conversions', async () => {
  const model = tinyModel({
    inputs: { x: [1, [1, 4, 8, 8]] },
    outputs: { y: [1] },
    initializers: [tensor('w', 6, 4, 3, 3), tensor('w2', 6, 6, 1, 1)],
    nodes: [
      makeNode('Conv', ['x', 'w'], ['c']),
      makeNode('Erf', ['c'], ['e']),
      makeNode('Conv', ['e', 'w2'], ['y']),
    ],
  });
  const samples = [{ x: randomTensor(next, [1, 4, 8, 8], 2) }];
  const scheme = { ...STATIC, reduceRange: SATURATES };
  const made = toQOperator(quantizeStatic(model, await observe(model, samples), scheme).model);
  expect(made.graph.node.map(({ opType }) => opType)).toEqual([
    'QuantizeLinear',
    'QLinearConv',
    'DequantizeLinear',
    'Erf',
    'QuantizeLinear',
    'QLinearConv',
    'DequantizeLinear',
  ]);
});
