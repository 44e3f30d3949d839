import { expect, test } from '@jest/globals';
import { contentsOf } from '../../../agent/model/onnx/contents.ts';
import { formOfModel } from '../../../agent/model/onnx/integer-ops.ts';
import { tinyGraph, tinyModel } from '../../support/tiny-onnx.ts';
import { floatBytes, openBytes, oursBytes, qoperatorBytes } from './layer-models.ts';

test('what is in a float model', () => {
  expect(contentsOf(openBytes(floatBytes()))).toEqual({
    irVersion: 8,
    opsets: [{ domain: 'ai.onnx', version: 13 }],
    producer: '',
    inputs: [{ name: 'x', dtype: 'float32', shape: [1, 2] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: [1, 2] }],
    parameters: [{ dtype: 'float32', count: 4, bytes: 16 }],
    ops: [
      { op: 'MatMul', nodes: 1, parameters: 4, parameterBytes: 16 },
      { op: 'Relu', nodes: 1, parameters: 0, parameterBytes: 0 },
      { op: 'Add', nodes: 1, parameters: 0, parameterBytes: 0 },
    ],
    layers: [{ node: 'product', op: 'MatMul', parameters: 4, parameterBytes: 16 }],
    form: null,
  });
});

test('weights behind DequantizeLinear belong to the layer that computes with them', () => {
  const { form, layers, parameters } = contentsOf(openBytes(oursBytes()));
  expect(form).toBe('qdq');
  expect(layers.find(({ op }) => op === 'MatMul')).toMatchObject({ parameters: 4 });
  expect(parameters.map(({ dtype, count }) => [dtype, count])).toEqual([
    ['float32', 2],
    ['int8', 5],
    ['uint8', 2],
  ]);
});

test.each([
  [['Conv', 'Relu'], null],
  [['QuantizeLinear', 'DequantizeLinear', 'Conv'], 'qdq'],
  [['QuantizeLinear', 'QLinearConv', 'com.microsoft.QLinearAdd'], 'qoperator'],
  [['DynamicQuantizeLinear', 'MatMulInteger'], 'dynamic'],
  [['com.microsoft.MatMulNBits'], 'weight-only'],
  [['qonnx.custom_op.general.Quant', 'Conv'], 'simulated'],
])('%j is %p', (ops, form) => {
  expect(formOfModel(ops)).toBe(form);
});

test('the form of a model file', () => {
  expect(contentsOf(openBytes(qoperatorBytes())).form).toBe('qoperator');
});

test('bodies, Constant nodes and open shapes are counted, too', () => {
  const branch = tinyGraph({
    outputs: [{ name: 'out', shape: [2] }],
    nodes: [{ op: 'Add', name: 'inner', inputs: ['x', 'c'], outputs: ['out'] }],
    weights: [{ name: 'c', shape: [2], data: Float32Array.of(1, 2) }],
  });
  const bytes = tinyModel({
    inputs: [
      { name: 'go', type: 'bool', shape: [] },
      { name: 'x', shape: ['N'] },
    ],
    outputs: [{ name: 'y', shape: ['N'] }],
    nodes: [
      {
        op: 'If',
        name: 'choice',
        inputs: ['go'],
        outputs: ['y'],
        attributes: { then_branch: branch, else_branch: branch },
      },
    ],
  });
  const found = contentsOf(openBytes(bytes));
  expect(found.inputs).toEqual([
    { name: 'go', dtype: 'bool', shape: [] },
    { name: 'x', dtype: 'float32', shape: ['N'] },
  ]);
  expect(found.parameters).toEqual([{ dtype: 'float32', count: 4, bytes: 16 }]);
  expect(found.ops).toContainEqual({ op: 'Add', nodes: 2, parameters: 4, parameterBytes: 16 });
});
