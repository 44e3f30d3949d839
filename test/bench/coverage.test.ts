import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Coverage, measureCoverage } from '../../agent/bench/coverage.ts';
import { macsOf } from '../../agent/bench/macs.ts';
import { type Operand, readProfile } from '../../agent/bench/profile.ts';
import { onnxRuntime } from '../../agent/runtime/onnxruntime.ts';
import { type TinyModel, type TinyTensor, tinyGraph, tinyModel } from '../support/tiny-onnx.ts';
import { zeroFeeds } from '../support/feeds.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgefit-coverage-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function coverage(model: TinyModel): Promise<Coverage> {
  const path = join(folder, 'model.onnx');
  await writeFile(path, tinyModel(model));
  const feeds = await zeroFeeds(onnxRuntime, path);
  return measureCoverage(onnxRuntime, path, feeds, { threads: 1 });
}

function weights(name: string, ...shape: number[]): TinyTensor {
  const size = shape.reduce((product, n) => product * n, 1);
  return { name, shape, data: Float32Array.from({ length: size }, (_, i) => (i % 7) / 7) };
}

test('a convolution is counted without the padding of its blocked layout', async () => {
  const result = await coverage({
    inputs: [{ name: 'x', shape: [1, 3, 8, 8] }],
    outputs: [{ name: 'y', shape: [1, 5, 6, 6] }],
    weights: [weights('w', 5, 3, 3, 3)],
    nodes: [
      { op: 'Conv', inputs: ['x', 'w'], outputs: ['c'] },
      { op: 'Relu', inputs: ['c'], outputs: ['y'] },
    ],
  });
  // 6 x 6 x 5 values of 27 products each
  expect(result).toMatchObject({ integerMacs: 0, totalMacs: 4860, coverage: 0 });
  const conv = result.byOp.find(({ op }) => op === 'Conv');
  expect(conv).toEqual({ op: 'Conv', count: 1, macs: 4860, integer: false, ms: conv?.ms });
  expect(conv?.ms).toBeGreaterThan(0);
});

test('an LSTM uses every weight in every step, in both directions', async () => {
  const result = await coverage({
    inputs: [{ name: 'x', shape: [5, 1, 3] }],
    outputs: [{ name: 'y', shape: [5, 2, 1, 4] }],
    weights: [weights('w', 2, 16, 3), weights('r', 2, 16, 4)],
    nodes: [
      {
        op: 'LSTM',
        inputs: ['x', 'w', 'r'],
        outputs: ['y'],
        attributes: { hidden_size: 4, direction: 'bidirectional' },
      },
    ],
  });
  // 5 steps x 2 directions x 4 gates x 4 units x (3 inputs + 4 states)
  expect(result).toMatchObject({ totalMacs: 1120, coverage: 0 });
});

test('integer and float kernels of one graph share what they do', async () => {
  const zero = { name: 'zero', type: 'uint8' as const, shape: [], data: new Uint8Array(1) };
  const result = await coverage({
    inputs: [{ name: 'x', shape: [2, 8] }],
    outputs: [{ name: 'y', shape: [2, 4] }],
    weights: [
      { name: 'wq', type: 'uint8', shape: [8, 3], data: new Uint8Array(24).fill(3) },
      zero,
      weights('w', 3, 4),
    ],
    nodes: [
      { op: 'DynamicQuantizeLinear', inputs: ['x'], outputs: ['xq', 'xs', 'xz'] },
      { op: 'MatMulInteger', inputs: ['xq', 'wq', 'xz', 'zero'], outputs: ['i'] },
      { op: 'Cast', inputs: ['i'], outputs: ['f'], attributes: { to: 1 } },
      { op: 'MatMul', inputs: ['f', 'w'], outputs: ['y'] },
    ],
  });
  // integer 2 x 3 x 8 = 48, float 2 x 4 x 3 = 24
  expect(result).toMatchObject({ integerMacs: 48, totalMacs: 72 });
  expect(result.coverage).toBeCloseTo(2 / 3, 12);
});

test('the body of a loop counts as often as it runs', async () => {
  const flag = { type: 'bool' as const, shape: [] };
  const body = tinyGraph({
    inputs: [
      { name: 'i', type: 'int64', shape: [] },
      { name: 'go', ...flag },
      { name: 's', shape: [1, 4] },
    ],
    outputs: [
      { name: 'on', ...flag },
      { name: 't', shape: [1, 4] },
    ],
    nodes: [
      { op: 'Identity', inputs: ['go'], outputs: ['on'] },
      { op: 'MatMul', inputs: ['s', 'w'], outputs: ['t'] },
    ],
  });
  const result = await coverage({
    inputs: [{ name: 'x', shape: [1, 4] }],
    outputs: [{ name: 'y', shape: [1, 4] }],
    weights: [
      weights('w', 4, 4),
      { name: 'n', type: 'int64', shape: [], data: new BigInt64Array([3n]) },
    ],
    nodes: [{ op: 'Loop', inputs: ['n', '', 'x'], outputs: ['y'], attributes: { body } }],
  });
  expect(result.totalMacs).toBe(3 * 16);
  expect(result.byOp.map(({ op }) => op)).not.toContain('Loop');
});

test('a graph that multiplies nothing has no coverage, and no profile is left', async () => {
  const relu = { op: 'Relu', inputs: ['x'], outputs: ['y'] };
  const result = await coverage({
    inputs: [{ name: 'x', shape: [4] }],
    outputs: [{ name: 'y', shape: [4] }],
    nodes: [relu],
  });
  expect(result).toMatchObject({ integerMacs: 0, totalMacs: 0, coverage: null });
  const left = (await readdir(tmpdir())).filter((name) => name.startsWith('edgefit-profile-'));
  expect(left).toEqual([]);
});

test('names of nodes may hold whatever breaks JSON', async () => {
  const names = ['a"b', 'c\td', 'e\\x', '"name" :"', 'f\n{"cat" : "Node"', '\u0001', '"}},'];
  const result = await coverage({
    inputs: [{ name: 'x', shape: [2, 3] }],
    outputs: [{ name: `t${names.length}`, shape: [2, 3] }],
    weights: [weights('w', 3, 3)],
    nodes: names.map((name, i) => {
      return { op: 'MatMul', inputs: [i === 0 ? 'x' : `t${i}`, 'w'], outputs: [`t${i + 1}`], name };
    }),
  });
  expect(result.totalMacs).toBe(names.length * 2 * 3 * 3);
});

/** `1x3x8 5x3 -`: shapes of operands; `-` is a scalar. */
function operands(shapes: string): Operand[] {
  return shapes.split(' ').map((shape) => {
    return { dtype: 'float', shape: shape === '-' ? [] : shape.split('x').map(Number) };
  });
}

describe('multiply-accumulates from shapes', () => {
  test.each<[string, string, string, string, number, number]>([
    ['grouped', 'Conv', '1x4x9 6x2x3', '1x6x7', 0, 252],
    ['channels last', 'QLinearConv', '1x8x8x3 - - 4x3x3x3', '1x6x6x4', 3888, 0],
    ['stride 2', 'ConvTranspose', '1x3x4x4 3x5x2x2', '1x5x8x8', 0, 960],
    ['batched', 'MatMul', '2x8x5x7 2x8x7x3', '2x8x5x3', 0, 1680],
    ['broadcast', 'MatMul', '2x5x7 7x3', '2x5x3', 0, 210],
    ['A transposed', 'FusedMatMul', '2x7x5 2x7x3', '2x5x3', 0, 210],
    ['vector', 'MatMul', '8 8x3', '3', 0, 24],
    ['empty', 'MatMul', '0x4 4x3', '0x3', 0, 0],
    ['transposed', 'Gemm', '7x5 3x7', '5x3', 0, 105],
    ['', 'QGemm', '5x7 - - 7x3', '5x3', 105, 0],
    ['', 'DynamicQuantizeMatMul', '1x5x64 64x32', '1x5x32', 10_240, 0],
    ['', 'MatMulNBits', '1x5x64 32x2x16', '1x5x32', 0, 10_240],
    ['', 'DynamicQuantizeLSTM', '2x1x3 1x3x16 1x4x16', '2x1x1x4', 224, 0],
    ['', 'GRU', '2x1x3 1x12x3 1x12x4', '2x1x1x4', 0, 168],
    ['projects', 'Attention', '1x10x32 32x96', '1x10x32', 0, 37_120],
    ['integer projection', 'QAttention', '1x10x32 32x96', '1x10x32', 30_720, 6400],
    ['cross', 'MultiHeadAttention', '1x10x32 1x6x32 1x6x32', '1x10x32', 0, 3840],
    ['heads apart', 'Attention', '1x4x10x8 1x4x6x8', '1x4x10x8', 0, 3840],
    ['cached', 'MultiHeadAttention', '1x1x8 1x1x8', '1x1x8 1x2x9x4', 0, 144],
    ['bhid,bhjd->bhij', 'Einsum', '1x8x16x4 1x8x16x4', '1x8x16x16', 0, 8192],
    ['bihd,bjhd->bhij', 'Einsum', '1x16x8x4 1x6x8x4', '1x8x16x6', 0, 3072],
    ['bsd,dhe->bshe', 'Einsum', '1x10x64 64x4x16', '1x10x4x16', 0, 40_960],
    ['bhqd,hdf->bqf', 'Einsum', '1x4x10x8 4x8x16', '1x10x16', 0, 5120],
    ['', 'MaxPool', '1x3x8x8', '1x3x4x4', 0, 0],
    ['', 'constructor', '1', '1', 0, 0],
  ])('%s %s', (_, op, inputs, outputs, integer, float) => {
    const kernel = { op, ms: 1, inputs: operands(inputs), outputs: operands(outputs) };
    expect(macsOf(kernel)).toEqual({ integer, float });
  });
});

test.each(['', '[', '{}', 'null'])('the profile %j is refused', (json) => {
  expect(() => readProfile(json)).toThrow('the profile of onnxruntime is not');
});

function node(name: string, ts: number, args: object) {
  return { cat: 'Node', name, ts, dur: 5, args };
}

test('only kernels of the last run are read, and odd events are passed over', () => {
  const args = { op_name: 'Relu', input_type_shape: [{ float: [2] }], output_type_shape: 'odd' };
  const run = { cat: 'Session', name: 'model_run', dur: 50, args: {} };
  const events = [
    node('a_kernel_time', 10, args),
    { ...run, ts: 5 },
    node('a_fence_before', 110, args),
    node('a_kernel_time', 110, args),
    node('b_kernel_time', 115, { op_name: 'If' }),
    { ...run, ts: 100 },
    { name: 7 },
    null,
  ];
  const inputs = [{ dtype: 'float', shape: [2] }];
  expect(readProfile(JSON.stringify(events))).toEqual([
    { op: 'Relu', ms: 0.005, inputs, outputs: [] },
  ]);
});
