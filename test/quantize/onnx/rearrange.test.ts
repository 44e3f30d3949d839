import { expect, test } from '@jest/globals';
import type { NodeProto, TensorProto } from '../../../agent/model/onnx/generated/messages.ts';
import { makeNode, opName } from '../../../agent/model/onnx/graph.ts';
import { withGraph } from '../../../agent/model/onnx/open.ts';
import type { OnnxModel } from '../../../agent/model/onnx/open.ts';
import {
  DataType,
  floatTensor,
  int64Tensor,
  makeTensor,
} from '../../../agent/model/onnx/tensor.ts';
import { rearrange } from '../../../agent/quantize/onnx/rearrange/rearrange.ts';
import { quantizeStatic } from '../../../agent/quantize/onnx/static.ts';
import type { Feeds } from '../../../agent/runtime/types.ts';
import { tinyModel } from '../../support/onnx-models.ts';
import {
  STATIC,
  floats,
  kernelsOf,
  observe,
  randomTensor,
  randoms,
  run,
  sqnr,
  weights,
} from '../support.ts';
import { SATURATES } from './reference.ts';

const next = randoms(11);
const SHAPE = [1, 8, 20, 24];

function kernel(name: string, dims: readonly number[]): TensorProto {
  return weights(name, dims, floats(randomTensor(next, dims, 0.4).data));
}

const pixels = (name: string, input: string, output: string) =>
  makeNode('Conv', [input, name], [output], { name: output });

function network(nodes: readonly NodeProto[], constants: readonly TensorProto[]): OnnxModel {
  return tinyModel({
    inputs: { x: [DataType.FLOAT, SHAPE] },
    outputs: { y: [DataType.FLOAT] },
    nodes: [pixels('w0', 'x', 'a'), ...nodes],
    initializers: [kernel('w0', [8, 8, 1, 1]), ...constants],
  });
}

/** The model in its new order, which must compute the same floats, and the ops that it has. */
async function rearranged(model: OnnxModel, feeds: Feeds): Promise<string[]> {
  const statistics = await observe(model, [feeds]);
  const made = withGraph(model, rearrange({ graph: model.graph, statistics }).graph);
  const [before, after] = [await run(model, feeds), await run(made, feeds)];
  expect(after['y']!.shape).toEqual(before['y']!.shape);
  expect(sqnr(floats(before['y']!.data), floats(after['y']!.data))).toBeGreaterThan(110);
  return made.graph.node.map(opName);
}

async function kernels(model: OnnxModel, feeds: Feeds): Promise<string[]> {
  const scheme = { ...STATIC, reduceRange: SATURATES };
  const { model: made } = quantizeStatic(model, await observe(model, [feeds]), scheme);
  const [before, after] = [await run(model, feeds), await run(made, feeds)];
  expect(sqnr(floats(before['y']!.data), floats(after['y']!.data))).toBeGreaterThan(25);
  return kernelsOf(made, feeds);
}

const x = randomTensor(next, SHAPE);
const POOL = { kernel_shape: [2n, 2n], strides: [2n, 2n] };

test.each([
  ['LeakyRelu', { alpha: 0.2 }],
  ['Sigmoid', {}],
  ['Tanh', {}],
])('MaxPool goes before %s', async (op, attributes) => {
  const model = network(
    [
      makeNode(op, ['a'], ['b'], { attributes }),
      makeNode('MaxPool', ['b'], ['c'], { attributes: POOL }),
      pixels('w1', 'c', 'y'),
    ],
    [kernel('w1', [4, 8, 1, 1])],
  );
  expect(await rearranged(model, { x })).toEqual(['Conv', 'MaxPool', op, 'Conv']);
});

test('the integers behind a pool that went first are those of a pool that did not', async () => {
  const activation = makeNode('LeakyRelu', ['a'], ['b'], { attributes: { alpha: 0.5 } });
  const pool = makeNode('MaxPool', ['b'], ['c'], { attributes: POOL });
  const model = network([activation, pool, pixels('w1', 'c', 'y')], [kernel('w1', [4, 8, 1, 1])]);
  const statistics = await observe(model, [{ x }]);
  const after = rearrange({ graph: model.graph, statistics }).statistics.tensors.get('c')!;
  const { min, max, seenMin, seenMax } = statistics.tensors.get('b')!;
  expect(after).toMatchObject({ min, max, seenMin, seenMax });
  // The maxima of windows are seldom as low as the lowest value.
  expect(statistics.tensors.get('c')!.min).toBeGreaterThan(min);
  expect(after.shape).toEqual([1, 8, 10, 12]);
});

test('MaxPool stays behind what falls, and behind what others read', async () => {
  const falling = network(
    [
      makeNode('LeakyRelu', ['a'], ['b'], { attributes: { alpha: -0.2 } }),
      makeNode('MaxPool', ['b'], ['c'], { attributes: POOL }),
      pixels('w1', 'c', 'y'),
    ],
    [kernel('w1', [4, 8, 1, 1])],
  );
  expect(await rearranged(falling, { x })).toEqual(['Conv', 'LeakyRelu', 'MaxPool', 'Conv']);
  const shared = network(
    [
      makeNode('Sigmoid', ['a'], ['b']),
      makeNode('MaxPool', ['b'], ['c'], { attributes: { kernel_shape: [1n, 1n] } }),
      makeNode('Add', ['b', 'c'], ['d']),
      pixels('w1', 'd', 'y'),
    ],
    [kernel('w1', [4, 8, 1, 1])],
  );
  expect(await rearranged(shared, { x })).toEqual(['Conv', 'Sigmoid', 'MaxPool', 'Add', 'Conv']);
});

/** Channels 0, 4, 1, 5, ... of the eight, then the two halves of that: ShuffleNet's way. */
const SHUFFLE = [
  makeNode('Reshape', ['a', 'pairs'], ['s1']),
  makeNode('Transpose', ['s1'], ['s2'], { attributes: { perm: [1n, 0n, 2n] } }),
  makeNode('Reshape', ['s2', 'halves'], ['s3']),
  makeNode('Gather', ['s3', 'zero'], ['left'], { attributes: { axis: 0n } }),
  makeNode('Gather', ['s3', 'one'], ['right'], { attributes: { axis: 0n } }),
];
const number = (name: string, value: bigint) =>
  makeTensor(name, DataType.INT64, [], BigInt64Array.of(value));
const SHUFFLING = [
  int64Tensor('pairs', [4, 2, 480]),
  int64Tensor('halves', [2, -1, 4, 20, 24]),
  number('zero', 0n),
  number('one', 1n),
];

test('a channel shuffle becomes zero weights, and ones where the channels are kept', async () => {
  const model = network(
    [
      ...SHUFFLE,
      pixels('w1', 'right', 'b'),
      makeNode('Concat', ['left', 'b'], ['c'], { attributes: { axis: 1n } }),
      pixels('w2', 'c', 'y'),
    ],
    [...SHUFFLING, kernel('w1', [4, 4, 1, 1]), kernel('w2', [4, 8, 1, 1])],
  );
  const ops = await rearranged(model, { x });
  expect(ops.toSorted()).toEqual(['Concat', 'Conv', 'Conv', 'Conv', 'Conv']);
  const ran = await kernels(model, { x });
  expect(ran.filter((op) => op === 'QLinearConv')).toHaveLength(4);
  expect(ran).toContain('QLinearConcat');
  expect(ran).not.toContain('Gather');
});

test('a strided slice of channels behind a pool is read with zero weights', async () => {
  const model = network(
    [
      makeNode('Slice', ['a', 'from', 'to', 'axis', 'step'], ['b']),
      makeNode('MaxPool', ['b'], ['c'], { attributes: POOL }),
      pixels('w1', 'c', 'y'),
    ],
    [
      int64Tensor('from', [0]),
      int64Tensor('to', [2n ** 63n - 1n]),
      int64Tensor('axis', [1]),
      int64Tensor('step', [2]),
      kernel('w1', [4, 4, 1, 1]),
    ],
  );
  expect(await rearranged(model, { x })).toEqual(['Conv', 'MaxPool', 'Conv']);
});

test('neighbouring channels, and what moves pixels, stay as they are', async () => {
  const slice = network(
    [makeNode('Slice', ['a', 'from', 'to', 'axis'], ['b']), pixels('w1', 'b', 'y')],
    [
      int64Tensor('from', [2]),
      int64Tensor('to', [6]),
      int64Tensor('axis', [1]),
      kernel('w1', [4, 4, 1, 1]),
    ],
  );
  expect(await rearranged(slice, { x })).toEqual(['Conv', 'Slice', 'Conv']);
  const turned = network(
    [
      makeNode('Transpose', ['a'], ['b'], { attributes: { perm: [0n, 1n, 3n, 2n] } }),
      pixels('w1', 'b', 'y'),
    ],
    [kernel('w1', [4, 8, 1, 1])],
  );
  expect(await rearranged(turned, { x })).toEqual(['Conv', 'Transpose', 'Conv']);
});

test('the average of a large tensor is a convolution of equal weights', async () => {
  const average = (attributes: Parameters<typeof makeNode>[3]) =>
    network(
      [makeNode('AveragePool', ['a'], ['c'], attributes), pixels('w1', 'c', 'y')],
      [kernel('w1', [4, 8, 1, 1])],
    );
  const feeds = { x: randomTensor(next, [1, 8, 40, 48]) };
  const large = (model: OnnxModel) => tinyModelOf(model, [1, 8, 40, 48]);
  const plain = large(average({ attributes: { kernel_shape: [4n, 3n], strides: [4n, 3n] } }));
  expect(await rearranged(plain, feeds)).toEqual(['Conv', 'Conv', 'Conv']);
  expect(await kernels(plain, feeds)).not.toContain('AveragePool');
  const padded = large(average({ attributes: { kernel_shape: [4n, 4n], pads: [1n, 1n, 1n, 1n] } }));
  expect(await rearranged(padded, feeds)).toContain('AveragePool');
});

function tinyModelOf(model: OnnxModel, shape: readonly number[]): OnnxModel {
  return tinyModel({
    inputs: { x: [DataType.FLOAT, shape] },
    outputs: { y: [DataType.FLOAT] },
    nodes: model.graph.node,
    initializers: model.graph.initializer,
  });
}

test('what is excluded is not said in other ops', async () => {
  const model = network(
    [makeNode('HardSwish', ['a'], ['b'], { name: 'swish' }), pixels('w1', 'b', 'y')],
    [kernel('w1', [4, 8, 1, 1])],
  );
  const statistics = await observe(model, [{ x }]);
  const { ops } = quantizeStatic(model, statistics, { ...STATIC, excluded: ['swish'] });
  expect(ops.map(({ op }) => op)).toEqual(['Conv', 'HardSwish', 'Conv']);
  expect(ops[1]).toEqual({
    node: 'swish',
    op: 'HardSwish',
    precision: 'float',
    reason: 'not between integer ops, where it is said in Add and Mul',
  });
});

test('the hard swish of exporters that spell it out takes one sum and one product', async () => {
  const model = network(
    [
      makeNode('Add', ['a', 'three'], ['b']),
      makeNode('Clip', ['b', 'zero', 'six'], ['c']),
      makeNode('Mul', ['a', 'c'], ['d']),
      makeNode('Div', ['d', 'six'], ['e']),
      pixels('w1', 'e', 'y'),
    ],
    [
      kernel('w1', [4, 8, 1, 1]),
      floatTensor('zero', 0),
      floatTensor('three', 3),
      floatTensor('six', 6),
    ],
  );
  const ran = await kernels(model, { x });
  const counts = ['QLinearAdd', 'QLinearMul', 'Div', 'Clip', 'QuantizeLinear'].map(
    (op) => ran.filter((one) => one === op).length,
  );
  expect(counts).toEqual([1, 1, 0, 0, 1]);
});

test.each([
  [0n, -1n, ['GlobalAveragePool', 'Flatten', 'Gemm']],
  [1n, -2n, ['GlobalAveragePool', 'Flatten', 'Gemm']],
  // The mean over channels is no pooling.
  [0n, 1n, ['ReduceMean', 'ReduceMean', 'Gemm']],
])('a mean of a mean (keepdims %i, then axis %i)', async (keepdims, axis, ops) => {
  const spatial = axis < 0n;
  const model = network(
    [
      makeNode('ReduceMean', ['a'], ['b'], { attributes: { axes: [-1n], keepdims } }),
      makeNode('ReduceMean', ['b'], ['c'], {
        attributes: { axes: keepdims === 1n ? [axis, 3n] : [axis], keepdims: 0n },
      }),
      makeNode('Gemm', ['c', 'w1'], ['y']),
    ],
    [kernel('w1', [spatial ? 8 : 20, 4])],
  );
  expect((await rearranged(model, { x })).slice(1)).toEqual(ops);
});
