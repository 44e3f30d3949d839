import { expect, test } from '@jest/globals';
import { makeNode } from '../../../../agent/model/onnx/graph.ts';
import type { OnnxModel } from '../../../../agent/model/onnx/open.ts';
import { DataType, makeTensor } from '../../../../agent/model/onnx/tensor.ts';
import { adoptQuantized } from '../../../../agent/quantize/onnx/adopt/adopt.ts';
import { tinyModel } from '../../../support/onnx-models.ts';
import { kernelsOf, randomTensor, randoms } from '../../support.ts';
import { formChange, grid, opsOf, s8, u8 } from './support.ts';

const next = randoms(11);
const x = randomTensor(next, [1, 4, 6, 6], 2);
const small = (count: number) => Int8Array.from({ length: count }, () => Math.round(next() * 60));
const ms = { domain: 'com.microsoft' } as const;
const on = (tensor: string, name: string) => [tensor, `${name}_scale`, `${name}_zero`];

/** Conv with bias, Add, GlobalAveragePool, Gemm, MatMul: all as integer operators of one type. */
function operators(zero: (value: number) => ReturnType<typeof u8>): OnnxModel {
  return tinyModel({
    inputs: { x: [DataType.FLOAT, [1, 4, 6, 6]] },
    outputs: { y: [DataType.FLOAT] },
    domains: { 'com.microsoft': 1 },
    initializers: [
      ...grid('x', 0.02, zero(3)),
      makeTensor('w', DataType.INT8, [4, 4, 1, 1], small(16)),
      makeTensor('w_scale', DataType.FLOAT, [4], Float32Array.of(0.01, 0.02, 0.01, 0.015)),
      s8('w_zero', 0, 0, 0, 0),
      makeTensor('b', DataType.INT32, [4], Int32Array.of(900, -300, 40, 0)),
      ...grid('c', 0.05, zero(-5)),
      ...grid('sum', 0.06, zero(10)),
      ...grid('pool', 0.03, zero(0)),
      makeTensor('g', DataType.INT8, [4, 3], small(12)),
      ...grid('g', 0.02, s8('z', 0)),
      makeTensor('gb', DataType.INT32, [3], Int32Array.of(500, -100, 7)),
      ...grid('fc', 0.02, zero(2)),
      makeTensor('m', DataType.INT8, [3, 2], small(6)),
      ...grid('m', 0.02, s8('z', 0)),
      ...grid('y', 0.02, zero(0)),
    ],
    nodes: [
      makeNode('QuantizeLinear', on('x', 'x'), ['xq']),
      makeNode(
        'QLinearConv',
        [...on('xq', 'x'), ...on('w', 'w'), 'c_scale', 'c_zero', 'b'],
        ['cq'],
      ),
      makeNode(
        'QLinearAdd',
        [...on('cq', 'c'), ...on('xq', 'x'), 'sum_scale', 'sum_zero'],
        ['sq'],
        ms,
      ),
      makeNode(
        'QLinearGlobalAveragePool',
        [...on('sq', 'sum'), 'pool_scale', 'pool_zero'],
        ['pq'],
        ms,
      ),
      makeNode('Flatten', ['pq'], ['fq']),
      makeNode(
        'QGemm',
        [...on('fq', 'pool'), ...on('g', 'g'), 'gb', 'fc_scale', 'fc_zero'],
        ['gq'],
        ms,
      ),
      makeNode('QLinearMatMul', [...on('gq', 'fc'), ...on('m', 'm'), 'y_scale', 'y_zero'], ['mq']),
      makeNode('DequantizeLinear', on('mq', 'y'), ['y']),
    ],
  });
}

const signed = operators((value) => s8('z', value));
const unsigned = operators((value) => u8('z', value + 128));

test('int8 operators become what the runtime fuses as uint8, with the same numbers', async () => {
  const { model, kind, changes, ops } = adoptQuantized(signed, { activations: 'u8' });
  expect(kind).toBe('qoperator');
  expect(changes).toEqual([
    'int8 operators taken apart for the runtime to fuse as uint8',
    'int8 activations made uint8, which is faster on this CPU',
  ]);
  expect(opsOf(model).filter((op) => /QLinear|QGemm/.test(op))).toEqual([]);
  expect(ops.every(({ precision }) => precision === 'integer')).toBe(true);
  expect(await formChange(signed, model, { x })).toBeGreaterThan(40);
  const kernels = await kernelsOf(model, { x });
  for (const op of ['QLinearConv', 'QLinearAdd', 'QGemm', 'QLinearMatMul']) {
    expect(kernels).toContain(op);
  }
});

test.each([
  ['uint8 operators', unsigned, 'u8'],
  ['int8 operators where the CPU has kernels for them', signed, 's8'],
] as const)('%s are kept', (_, model, activations) => {
  const adopted = adoptQuantized(model, { activations });
  expect(adopted.model).toBe(model);
  expect(adopted).toMatchObject({ kind: 'qoperator', changes: [] });
  expect(adopted.ops.every(({ precision }) => precision === 'integer')).toBe(true);
});

test('a form that quantizes activations as they arrive is kept', () => {
  const model = tinyModel({
    inputs: { x: [DataType.FLOAT, [1, 2]] },
    outputs: { y: [DataType.INT32] },
    initializers: [makeTensor('w', DataType.INT8, [2, 2], Int8Array.of(1, 2, 3, 4))],
    nodes: [
      makeNode('DynamicQuantizeLinear', ['x'], ['q', 's', 'z']),
      makeNode('MatMulInteger', ['q', 'w', 'z'], ['y']),
    ],
  });
  expect(adoptQuantized(model, { activations: 'u8' })).toMatchObject({
    model,
    kind: 'dynamic',
    changes: [],
  });
});
