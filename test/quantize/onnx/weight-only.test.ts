import { describe, expect, test } from '@jest/globals';
import { schemePresets } from '../../../agent/contracts/scheme.ts';
import { makeNode, namelessNode } from '../../../agent/model/onnx/graph.ts';
import { quantizeStatic } from '../../../agent/quantize/onnx/static.ts';
import { quantizeWeights } from '../../../agent/quantize/onnx/weight-only.ts';
import { modelBytes, tinyModel } from '../../support/onnx-models.ts';
import type { TinyGraph } from '../../support/onnx-models.ts';
import {
  STATIC,
  floats,
  kernelsOf,
  observe,
  randomTensor,
  randomValues,
  randoms,
  run,
  sqnr,
  weights,
} from '../support.ts';

const INT8 = schemePresets['weight-int8'];
const INT4 = schemePresets['weight-int4'];

function product(op: 'MatMul' | 'Gemm', depth: number, width: number, bias: boolean): TinyGraph {
  const next = randoms(depth + width);
  const gemm = op === 'Gemm';
  return {
    inputs: { x: [1, [3, depth]] },
    outputs: { y: [1] },
    initializers: [
      weights('w', gemm ? [width, depth] : [depth, width], randomValues(next, depth * width)),
      weights('b', [width], randomValues(next, width, 5)),
    ],
    nodes: gemm
      ? [
          makeNode('Gemm', bias ? ['x', 'w', 'b'] : ['x', 'w'], ['y'], {
            attributes: { transB: 1n },
          }),
        ]
      : [
          makeNode('MatMul', ['x', 'w'], [bias ? 'p' : 'y']),
          ...(bias ? [makeNode('Add', ['p', 'b'], ['y'])] : []),
        ],
  };
}

describe('matrix products', () => {
  test.each([
    ['MatMul', 64, 24, false],
    ['MatMul', 50, 7, true],
    ['Gemm', 64, 24, false],
    ['Gemm', 20, 9, true],
  ] as const)('%s of depth %i and width %i, bias %p', async (op, depth, width, bias) => {
    const model = tinyModel(product(op, depth, width, bias));
    const x = randomTensor(randoms(5), [3, depth], 3);
    const exact = floats((await run(model, { x }))['y']?.data);
    for (const [scheme, least] of [
      [INT8, 38],
      [INT4, 17],
    ] as const) {
      const made = quantizeWeights(model, scheme);
      expect(made.ops.every(({ precision }) => precision === 'integer')).toBe(true);
      // oxlint-disable-next-line no-await-in-loop -- one session at a time
      const got = floats((await run(made.model, { x }))['y']?.data);
      expect(sqnr(exact, got)).toBeGreaterThan(least);
      // oxlint-disable-next-line no-await-in-loop -- one session at a time
      expect(await kernelsOf(made.model, { x })).toEqual(['MatMulNBits']);
    }
  });

  test('weights that two products share are stored once', () => {
    const model = tinyModel({
      inputs: { x: [1, [1, 64]] },
      outputs: { y: [1] },
      initializers: [weights('w', [64, 64], randomValues(randoms(1), 4096))],
      nodes: [makeNode('MatMul', ['x', 'w'], ['h']), makeNode('MatMul', ['h', 'w'], ['y'])],
    });
    const { graph } = quantizeWeights(model, INT8).model;
    expect(graph.initializer.filter(({ dims }) => dims.length === 3)).toHaveLength(1);
  });
});

describe('other weights', () => {
  const model = tinyModel({
    inputs: { x: [1, [1, 16, 8, 8]] },
    outputs: { y: [1] },
    initializers: [weights('w', [32, 16, 3, 3], randomValues(randoms(2), 4608))],
    nodes: [makeNode('Conv', ['x', 'w'], ['y'])],
  });

  test('are a quarter of the size in the file and floats again when loaded', async () => {
    const made = quantizeWeights(model, INT8);
    expect(modelBytes(made.model).length).toBeLessThan(modelBytes(model).length * 0.3);
    const x = randomTensor(randoms(5), [1, 16, 8, 8]);
    const exact = floats((await run(model, { x }))['y']?.data);
    expect(sqnr(exact, floats((await run(made.model, { x }))['y']?.data))).toBeGreaterThan(40);
    // No Cast, no Mul: the runtime has folded them.
    expect(await kernelsOf(made.model, { x })).toEqual(await kernelsOf(model, { x }));
    expect(made.ops).toEqual([
      {
        node: 'y',
        op: 'Conv',
        precision: 'float',
        reason: 'computes in float, with weights in 8 bits',
      },
    ]);
  });

  test('each output channel has a scale of its own', async () => {
    const values = randomValues(randoms(2), 4608);
    values.subarray(0, 144).forEach((value, i) => (values[i] = value * 1e-3));
    const uneven = tinyModel({
      inputs: { x: [1, [1, 16, 3, 3]] },
      outputs: { y: [1] },
      initializers: [weights('w', [32, 16, 3, 3], values)],
      nodes: [namelessNode('Conv', ['x', 'w'], ['y'])],
    });
    const x = randomTensor(randoms(5), [1, 16, 3, 3]);
    const exact = floats((await run(uneven, { x }))['y']?.data).slice(0, 1);
    const got = floats((await run(quantizeWeights(uneven, INT8).model, { x }))['y']?.data);
    expect(Math.abs((exact[0] ?? 0) - (got[0] ?? 0))).toBeLessThan(1e-3 * 0.1);
  });

  test('nothing large enough is said', () => {
    const small = tinyModel({
      inputs: { x: [1, [1, 1, 8, 8]] },
      outputs: { y: [1] },
      initializers: [weights('w', [2, 1, 3, 3], randomValues(randoms(2), 18))],
      nodes: [makeNode('Conv', ['x', 'w'], ['y'])],
    });
    expect(() => quantizeWeights(small, INT8)).toThrow('nothing to gain');
  });
});

test('static INT8 takes recurrent layers along: dynamic, or stored in 8 bits', async () => {
  const next = randoms(21);
  const hidden = 16;
  const recurrent = (gates: number, prefix: string) => [
    weights(`${prefix}w`, [1, gates * hidden, 12], randomValues(next, gates * hidden * 12)),
    weights(`${prefix}r`, [1, gates * hidden, hidden], randomValues(next, gates * hidden * hidden)),
  ];
  const attributes = { hidden_size: BigInt(hidden) };
  const model = tinyModel({
    inputs: { x: [1, [5, 1, 12]] },
    outputs: { y: [1], z: [1] },
    initializers: [
      ...recurrent(4, 'l'),
      ...recurrent(3, 'g'),
      weights('m', [12, 8], randomValues(next, 96)),
    ],
    nodes: [
      makeNode('LSTM', ['x', 'lw', 'lr'], ['', 'y'], { attributes }),
      makeNode('GRU', ['x', 'gw', 'gr'], ['', 'g'], { attributes }),
      makeNode('MatMul', ['x', 'm'], ['p']),
      makeNode('ReduceSum', ['p'], ['s']),
      makeNode('Add', ['g', 's'], ['z']),
    ],
  });
  const samples = [{ x: randomTensor(next, [5, 1, 12]) }];
  const made = quantizeStatic(model, await observe(model, samples), STATIC);
  const precisions = made.ops.map(({ op, precision }) => `${op} ${precision}`);
  expect(precisions.slice(0, 3)).toEqual(['LSTM integer', 'GRU float', 'MatMul integer']);
  expect(made.ops[1]?.reason).toContain('weights in 8 bits');
  const kernels = await kernelsOf(made.model, samples[0]!);
  expect(kernels).toEqual(expect.arrayContaining(['DynamicQuantizeLSTM', 'GRU']));
  const [before, after] = [await run(model, samples[0]!), await run(made.model, samples[0]!)];
  for (const name of ['y', 'z']) {
    expect(sqnr(floats(before[name]?.data), floats(after[name]?.data))).toBeGreaterThan(30);
  }
});
