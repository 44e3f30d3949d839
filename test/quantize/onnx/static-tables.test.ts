import { expect, test } from '@jest/globals';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import { DataType, makeTensor } from '../../../agent/model/onnx/tensor.ts';
import { quantizeStatic } from '../../../agent/quantize/onnx/static.ts';
import type { Tensor } from '../../../agent/runtime/types.ts';
import { tinyGraph, tinyModel } from '../../support/onnx-models.ts';
import { STATIC, floats, observe, randomTensor, randoms, run, sqnr, weights } from '../support.ts';
import { SATURATES } from './reference.ts';

test('a table that rows are gathered from is stored in 8 bits, with a scale for each row', async () => {
  const next = randoms(12);
  const table = floats(randomTensor(next, [64, 16], 3).data);
  // One row is a hundred times smaller than the others: with one scale for all it would be lost.
  for (let i = 0; i < 16; i++) table[5 * 16 + i]! /= 100;
  const model = tinyModel({
    inputs: { ids: [DataType.INT64, [1, 4]] },
    outputs: { y: [DataType.FLOAT], row: [DataType.FLOAT] },
    initializers: [
      weights('table', [64, 16], table),
      weights('w', [16, 8], floats(randomTensor(next, [16, 8]).data)),
    ],
    nodes: [makeNode('Gather', ['table', 'ids'], ['row']), makeNode('MatMul', ['row', 'w'], ['y'])],
  });
  const ids: Tensor = { dtype: 'int64', shape: [1, 4], data: BigInt64Array.of(5n, 5n, 5n, 5n) };
  const statistics = await observe(model, [{ ids }]);
  const scheme = { ...STATIC, reduceRange: SATURATES };
  const { model: made, ops } = quantizeStatic(model, statistics, scheme);
  const [stored] = made.graph.initializer.filter(
    ({ dims, dataType }) => dims.join() === '64,16' && dataType === DataType.INT8,
  );
  expect(stored).toBeDefined();
  expect(made.graph.initializer.some(({ name }) => name === 'table')).toBe(false);
  expect(ops[0]).toMatchObject({
    op: 'Gather',
    reason: 'computes in float, with weights in 8 bits',
  });
  const [before, after] = [await run(model, { ids }), await run(made, { ids })];
  expect(sqnr(floats(before['row']!.data), floats(after['row']!.data))).toBeGreaterThan(35);
});

test('a Gather of what is computed has no table', () => {
  const model = tinyModel({
    inputs: { x: [DataType.FLOAT, [1, 16]] },
    outputs: { y: [DataType.FLOAT] },
    initializers: [
      weights('w', [16, 8], new Float32Array(128).fill(0.5)),
      makeTensor('two', DataType.INT64, [1], BigInt64Array.of(2n)),
    ],
    nodes: [
      makeNode('MatMul', ['x', 'w'], ['h']),
      makeNode('Gather', ['h', 'two'], ['y'], { attributes: { axis: 1n } }),
    ],
  });
  const range = { dtype: 'float32', min: -1, max: 1, seenMin: -1, seenMax: 1 };
  const tensors = new Map(
    Object.entries({ x: [1, 16], h: [1, 8], y: [1, 1] }).map(([name, shape]) => [
      name,
      { ...range, shape },
    ]),
  );
  const { ops } = quantizeStatic(model, { samples: 1, observer: 'min-max', tensors }, STATIC);
  expect(ops.find(({ op }) => op === 'Gather')?.reason).toMatch(/integer kernel/);
});

test('a transposed convolution computes in float, with weights in 8 bits', async () => {
  const next = randoms(31);
  const model = tinyModel({
    inputs: { x: [DataType.FLOAT, [1, 4, 8, 8]] },
    outputs: { y: [DataType.FLOAT] },
    initializers: [
      weights('w', [16, 4, 3, 3], floats(randomTensor(next, [16, 4, 3, 3]).data)),
      weights('up', [16, 12, 2, 2], floats(randomTensor(next, [16, 12, 2, 2]).data)),
    ],
    nodes: [
      makeNode('Conv', ['x', 'w'], ['c']),
      makeNode('ConvTranspose', ['c', 'up'], ['y'], { attributes: { strides: [2n, 2n] } }),
    ],
  });
  const x = randomTensor(next, [1, 4, 8, 8]);
  const scheme = { ...STATIC, reduceRange: SATURATES };
  const { model: made, ops } = quantizeStatic(model, await observe(model, [{ x }]), scheme);
  expect(ops.find(({ op }) => op === 'ConvTranspose')).toMatchObject({
    precision: 'float',
    reason: 'computes in float, with weights in 8 bits',
  });
  expect(made.graph.initializer.some(({ name }) => name === 'up')).toBe(false);
  const [before, after] = [await run(model, { x }), await run(made, { x })];
  expect(sqnr(floats(before['y']!.data), floats(after['y']!.data))).toBeGreaterThan(25);
});

test('a product in a branch never taken is dynamic', async () => {
  const next = randoms(8);
  const side = floats(randomTensor(next, [64, 32]).data);
  const body = (op: string, name: string, input: readonly string[]) =>
    tinyGraph({ outputs: { [name]: [DataType.FLOAT] }, nodes: [makeNode(op, input, [name])] });
  const model = tinyModel({
    inputs: { x: [DataType.FLOAT, [1, 64]], go: [DataType.BOOL, []] },
    outputs: { y: [DataType.FLOAT] },
    initializers: [
      weights('w', [64, 64], floats(randomTensor(next, [64, 64]).data)),
      weights('side', [64, 32], side),
    ],
    nodes: [
      makeNode('MatMul', ['x', 'w'], ['m']),
      makeNode('If', ['go'], ['y'], {
        attributes: {
          then_branch: body('Neg', 't', ['m']),
          else_branch: body('MatMul', 'e', ['m', 'side']),
        },
      }),
    ],
  });
  const feeds = (go: number) => ({
    x: randomTensor(randoms(2), [1, 64]),
    go: { dtype: 'bool', shape: [], data: Uint8Array.of(go) } satisfies Tensor,
  });
  const scheme = { ...STATIC, reduceRange: SATURATES };
  const made = quantizeStatic(model, await observe(model, [feeds(1)]), scheme);
  expect(made.ops.find(({ node }) => node === 'e')).toMatchObject({ precision: 'integer' });
  expect(made.model.graph.initializer.some(({ name }) => name === 'side')).toBe(false);
  const [before, after] = [await run(model, feeds(0)), await run(made.model, feeds(0))];
  expect(sqnr(floats(before['y']!.data), floats(after['y']!.data))).toBeGreaterThan(25);
});
