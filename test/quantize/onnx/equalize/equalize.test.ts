import { expect, test } from '@jest/globals';
import { makeNode } from '../../../../agent/model/onnx/graph.ts';
import type { NodeProto, TensorProto } from '../../../../agent/model/onnx/generated/messages.ts';
import type { OnnxModel } from '../../../../agent/model/onnx/open.ts';
import { floatData, floatTensor, int64Tensor } from '../../../../agent/model/onnx/tensor.ts';
import { equalize } from '../../../../agent/quantize/onnx/equalize/equalize.ts';
import { tinyModel } from '../../../support/onnx-models.ts';
import {
  floats,
  randomTensor,
  randomValues,
  randoms,
  relativeError,
  runAll,
  weights,
} from '../../support.ts';
import { equalized } from './support.ts';

const next = randoms(11);
/** All that was seen fills the range. */
const FULL = { strength: 1, headroom: 1 };
const random = (name: string, ...dims: number[]) =>
  weights(
    name,
    dims,
    randomValues(
      next,
      dims.reduce((a, b) => a * b, 1),
    ),
  );

const initializer = (model: OnnxModel, name: string) => [
  ...floatData(model.graph.initializer.find((tensor) => tensor.name === name)!),
];

function modelOf(
  shape: readonly number[],
  nodes: readonly NodeProto[],
  initializers: readonly TensorProto[],
) {
  return tinyModel({ inputs: { x: [1, shape] }, outputs: { y: [1] }, nodes, initializers });
}

/** 1x1 convolution, ReLU, depthwise convolution. */
const depthwise = () =>
  modelOf(
    [1, 1, 2, 2],
    [
      makeNode('Conv', ['x', 'w', 'b'], ['c']),
      makeNode('Relu', ['c'], ['r']),
      makeNode('Conv', ['r', 'd'], ['y'], { attributes: { group: 2n } }),
    ],
    [
      weights('w', [2, 1, 1, 1], [8, 0.5]),
      weights('b', [2], [16, 1]),
      weights('d', [2, 1, 1, 1], [3, 6]),
    ],
  );

const ranges = (max: readonly number[]) => ({
  min: new Float64Array(max.length),
  max: Float64Array.from(max),
  variance: Float64Array.from(max, (value) => value ** 2 / 12),
});

test('the small channel of a depthwise convolution grows to what headroom leaves', () => {
  const shapes = new Map([
    ['x', [1, 1, 2, 2]],
    ['c', [1, 2, 2, 2]],
    ['r', [1, 2, 2, 2]],
    ['y', [1, 2, 2, 2]],
  ]);
  const seen = new Map([['r', ranges([24, 1.5])]]);
  const { model, groups } = equalize(depthwise(), shapes, seen);
  // 1.5 of 24 is a 16th; with room for twice what was seen, the channel is divided by an 8th.
  expect(initializer(model, 'w_equalized')).toEqual([8, 4]);
  expect(initializer(model, 'b_equalized')).toEqual([16, 8]);
  expect(initializer(model, 'd_equalized')).toEqual([3, 0.75]);
  expect(groups).toMatchObject([{ outputs: ['y'], channels: 2 }]);
  expect(groups[0]!.noise).toBeLessThan(0.75);
});

test('channels of one size are left alone', () => {
  const shapes = new Map([['c', [1, 2, 2, 2]]]);
  const original = depthwise();
  const { model, groups } = equalize(original, shapes, new Map([['r', ranges([2, 2])]]));
  expect(groups).toEqual([]);
  expect(model).toBe(original);
});

const conv = (input: string, weight: string, output: string) =>
  makeNode('Conv', [input, weight], [output]);
const CONVS = [random('w', 4, 3, 1, 1), random('v', 4, 3, 1, 1), random('d', 2, 4, 1, 1)];
const SIX = [floatTensor('zero', 0), floatTensor('six', 6), floatTensor('half', [0.5])];
const PADS = int64Tensor('pads', [0, 0, 1, 1, 0, 0, 1, 1]);

/** What may stand between two convolutions, from tensor c to tensor m, and how many channels scale. */
test.each<[string, number, NodeProto[]]>([
  ['nothing', 4, [makeNode('Identity', ['c'], ['m'])]],
  ['Relu', 4, [makeNode('Relu', ['c'], ['m'])]],
  ['LeakyRelu', 4, [makeNode('LeakyRelu', ['c'], ['m'], { attributes: { alpha: 0.1 } })]],
  ['Clip from 0', 4, [makeNode('Clip', ['c', 'zero'], ['m'])]],
  ['Clip from 0 to 6', 0, [makeNode('Clip', ['c', 'zero', 'six'], ['m'])]],
  ['Sigmoid', 0, [makeNode('Sigmoid', ['c'], ['m'])]],
  ['Pad with zeros', 4, [makeNode('Pad', ['c', 'pads'], ['m'])]],
  ['Pad with sixes', 0, [makeNode('Pad', ['c', 'pads', 'six'], ['m'])]],
  ['a constant summand for all', 0, [makeNode('Add', ['c', 'six'], ['m'])]],
  ['a constant factor for all', 4, [makeNode('Mul', ['c', 'half'], ['m'])]],
  [
    'a gate that reads another tensor',
    4,
    [
      makeNode('Sigmoid', ['x'], ['s']),
      makeNode('Conv', ['s', 'v'], ['t']),
      makeNode('Sigmoid', ['t'], ['g']),
      makeNode('Mul', ['c', 'g'], ['m']),
    ],
  ],
  ['a gate of its own', 0, [makeNode('Sigmoid', ['c'], ['g']), makeNode('Mul', ['c', 'g'], ['m'])]],
  [
    'a sum of two branches',
    4,
    [makeNode('Conv', ['x', 'v'], ['t']), makeNode('Add', ['c', 't'], ['m'])],
  ],
  [
    'a sum with what cannot be scaled',
    0,
    [
      makeNode('Conv', ['x', 'v'], ['t']),
      makeNode('Tanh', ['t'], ['h']),
      makeNode('Add', ['c', 'h'], ['m']),
    ],
  ],
  [
    'pooling',
    4,
    [
      makeNode('MaxPool', ['c'], ['p'], { attributes: { kernel_shape: [2n, 2n] } }),
      makeNode('GlobalAveragePool', ['p'], ['m']),
    ],
  ],
])('between convolutions: %s', async (_, count, nodes) => {
  const all = [conv('x', 'w', 'c'), ...nodes, conv('m', 'd', 'y')];
  const model = modelOf([1, 3, 4, 4], all, [...CONVS, ...SIX, PADS]);
  const samples = [1, 2].map(() => ({ x: randomTensor(next, [1, 3, 4, 4], 2) }));
  const result = await equalized(model, samples, FULL);
  expect(result.groups.map(({ channels }) => channels)).toEqual(count === 0 ? [] : [count]);
  expect(await largestError(model, result.model, samples)).toBeLessThan(1e-5);
});

test('an output of the model keeps its values', async () => {
  const nodes = [conv('x', 'w', 'y'), conv('y', 'd', 'z')];
  const model = tinyModel({
    inputs: { x: [1, [1, 3, 4, 4]] },
    outputs: { y: [1], z: [1] },
    nodes,
    initializers: CONVS,
  });
  const samples = [{ x: randomTensor(next, [1, 3, 4, 4]) }];
  expect((await equalized(model, samples, FULL)).groups).toEqual([]);
});

test('the weights of a normalization and of a gated unit take the factors of what reads them', async () => {
  const matMul = (a: string, b: string, y: string) => makeNode('MatMul', [a, b], [y]);
  const model = modelOf(
    [1, 5, 8],
    [
      makeNode('LayerNormalization', ['x', 'gamma', 'beta'], ['n'], { attributes: { axis: -1n } }),
      matMul('n', 'gate', 'g'),
      makeNode('Sigmoid', ['g'], ['s']),
      makeNode('Mul', ['g', 's'], ['silu']),
      matMul('n', 'up', 'u'),
      makeNode('Mul', ['silu', 'u'], ['h']),
      matMul('h', 'down', 'y'),
    ],
    [
      random('gamma', 8),
      random('beta', 8),
      random('gate', 8, 6),
      random('up', 8, 6),
      random('down', 6, 8),
    ],
  );
  const samples = [1, 2].map(() => ({ x: randomTensor(next, [1, 5, 8], 2) }));
  const { model: made, groups } = await equalized(model, samples, { strength: 0.5, headroom: 1 });
  expect(groups.map(({ outputs }) => outputs)).toEqual([['g', 'u'], ['y']]);
  const names = made.graph.initializer.map(({ name }) => name);
  const changed = ['beta', 'down', 'gamma', 'gate', 'up'].map((name) => `${name}_equalized`);
  expect(new Set(names)).toEqual(new Set(changed));
  expect(await largestError(model, made, samples)).toBeLessThan(1e-5);
});

test('weights that two nodes share are changed for one alone', async () => {
  const model = modelOf(
    [1, 4, 4, 4],
    [
      conv('x', 'w', 'c'),
      makeNode('Relu', ['c'], ['r']),
      conv('r', 'w', 'e'),
      makeNode('Tanh', ['e'], ['t']),
      conv('t', 'w', 'y'),
    ],
    [random('w', 4, 4, 1, 1)],
  );
  const samples = [{ x: randomTensor(next, [1, 4, 4, 4], 2) }];
  const { model: made, groups } = await equalized(model, samples, FULL);
  expect(groups.map(({ outputs }) => outputs)).toEqual([['e']]);
  expect(made.graph.node.map(({ input }) => input[1]).filter(Boolean)).toEqual([
    'w_equalized',
    'w_equalized_1',
    'w',
  ]);
  expect(await largestError(model, made, samples)).toBeLessThan(1e-5);
});

async function largestError(
  before: OnnxModel,
  after: OnnxModel,
  samples: Parameters<typeof runAll>[1],
): Promise<number> {
  const [left, right] = [await runAll(before, samples), await runAll(after, samples)];
  const errors = left.flatMap((outputs, i) =>
    Object.entries(outputs).map(([name, { data }]) =>
      relativeError(floats(data), floats(right[i]![name]!.data)),
    ),
  );
  return Math.max(...errors);
}
