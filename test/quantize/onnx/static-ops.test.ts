import { expect, test } from '@jest/globals';
import type { Scheme } from '../../../agent/contracts/scheme.ts';
import type { TensorProto } from '../../../agent/model/onnx/generated/messages.ts';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import type { AttributeValue } from '../../../agent/model/onnx/graph.ts';
import type { OnnxModel } from '../../../agent/model/onnx/open.ts';
import { floatTensor, int64Tensor } from '../../../agent/model/onnx/tensor.ts';
import type { Statistics } from '../../../agent/model/statistics.ts';
import { affineParams } from '../../../agent/quantize/arithmetic.ts';
import type { QuantParams } from '../../../agent/quantize/arithmetic.ts';
import { quantizeStatic } from '../../../agent/quantize/onnx/static.ts';
import type { Tensor } from '../../../agent/runtime/types.ts';
import { tinyModel } from '../../support/onnx-models.ts';
import {
  STATIC,
  floats,
  kernelsOf,
  observe,
  randomTensor,
  randomValues,
  randoms,
  run,
  weights,
} from '../support.ts';
import { SATURATES, quantity, real, steps } from './reference.ts';

/*
 * Ops between integer ops: x -> Conv -> a, x -> Conv -> b, then the op makes o, and a product reads o.
 */

interface OpCase {
  readonly op: string;
  /** How many activations it reads, a and b; 1 unless told. */
  readonly reads?: 2;
  readonly constants?: readonly TensorProto[];
  /** The constants come before the activation. */
  readonly constantsFirst?: true;
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  readonly outputs?: 2;
  readonly opset?: number;
  /** The integer kernel; the op itself where it moves bytes. */
  readonly kernel?: string;
  /** Stored steps by which onnxruntime may differ, and why. */
  readonly off?: readonly [steps: number, why: string];
  /** The range that the output has without calibration. */
  readonly fixed?: readonly [number, number];
}

/** x / scale is one product with a rounded reciprocal or ratio, so that ties fall differently. */
const RATIO = [1, 'scales are divided beforehand'] as const;
const next = randoms(7);

const OPS: Readonly<Record<string, OpCase>> = {
  Add: { op: 'Add', reads: 2, kernel: 'QLinearAdd', off: RATIO },
  Mul: { op: 'Mul', reads: 2, kernel: 'QLinearMul', off: RATIO },
  'Add of a constant': {
    op: 'Add',
    constants: [weights('k', [4, 1, 1], [-1, 0.5, 2, 3])],
    kernel: 'QLinearAdd',
    off: RATIO,
  },
  'Add to a constant': {
    op: 'Add',
    constants: [weights('k', [1, 4, 1, 1], [1, 2, 3, 4])],
    constantsFirst: true,
    kernel: 'QLinearAdd',
    off: RATIO,
  },
  'Add of zero': { op: 'Add', constants: [floatTensor('k', 0)], kernel: 'QLinearAdd', off: RATIO },
  'Mul by a number': {
    op: 'Mul',
    constants: [floatTensor('k', -2.5)],
    kernel: 'QLinearMul',
    off: RATIO,
  },
  'Mul by a row': {
    op: 'Mul',
    constants: [weights('k', [6], randomValues(next, 6))],
    kernel: 'QLinearMul',
    off: RATIO,
  },
  'Concat of channels': {
    op: 'Concat',
    reads: 2,
    attributes: { axis: 1n },
    kernel: 'QLinearConcat',
    off: RATIO,
  },
  'Concat of rows': {
    op: 'Concat',
    reads: 2,
    attributes: { axis: -2n },
    kernel: 'QLinearConcat',
    off: RATIO,
  },
  'Concat with a constant': {
    op: 'Concat',
    constants: [weights('k', [1, 1, 6, 6], randomValues(next, 36))],
    attributes: { axis: 1n },
    kernel: 'QLinearConcat',
    off: RATIO,
  },
  AveragePool: {
    op: 'AveragePool',
    attributes: { kernel_shape: [3n, 2n], strides: [2n, 1n] },
    kernel: 'QLinearAveragePool',
    off: RATIO,
  },
  'AveragePool with dilations of 1': {
    op: 'AveragePool',
    attributes: { kernel_shape: [3n, 2n], dilations: [1n, 1n] },
    opset: 22,
    kernel: 'QLinearAveragePool',
    off: RATIO,
  },
  'AveragePool over padding': {
    op: 'AveragePool',
    attributes: { kernel_shape: [3n, 3n], pads: [1n, 1n, 1n, 1n], count_include_pad: 1n },
    kernel: 'QLinearAveragePool',
    off: RATIO,
  },
  'AveragePool beside padding': {
    op: 'AveragePool',
    attributes: { kernel_shape: [3n, 3n], pads: [1n, 1n, 1n, 1n] },
    kernel: 'QLinearAveragePool',
    off: RATIO,
  },
  'AveragePool to the ceiling': {
    op: 'AveragePool',
    attributes: { kernel_shape: [4n, 4n], strides: [4n, 4n], ceil_mode: 1n },
    kernel: 'QLinearAveragePool',
    off: RATIO,
  },
  GlobalAveragePool: { op: 'GlobalAveragePool', kernel: 'QLinearGlobalAveragePool', off: RATIO },
  LeakyRelu: { op: 'LeakyRelu', attributes: { alpha: 0.1 }, kernel: 'QLinearLeakyRelu' },
  Sigmoid: { op: 'Sigmoid', kernel: 'QLinearSigmoid', fixed: [0, 1], off: RATIO },
  'Mul by a number above zero': {
    op: 'Mul',
    constants: [floatTensor('k', 2.5)],
    constantsFirst: true,
    kernel: 'QLinearConv',
    off: RATIO,
  },
  'Sub of a constant': {
    op: 'Sub',
    constants: [weights('k', [4, 1, 1], [-1, 0.5, 2, 3])],
    kernel: 'QLinearAdd',
    off: RATIO,
  },
  'Div by constants': {
    op: 'Div',
    constants: [weights('k', [4, 1, 1], [-1, 0.5, 2, 3])],
    kernel: 'QLinearMul',
    off: RATIO,
  },
  'Div by a number': {
    op: 'Div',
    constants: [floatTensor('k', 6)],
    kernel: 'QLinearConv',
    off: RATIO,
  },
  'ReduceMean over pixels': {
    op: 'ReduceMean',
    attributes: { axes: [-1n, 2n] },
    kernel: 'QLinearGlobalAveragePool',
    off: RATIO,
  },
  'ReduceMean over pixels to a row': {
    op: 'ReduceMean',
    constants: [int64Tensor('k', [2, 3])],
    attributes: { keepdims: 0n },
    opset: 18,
    kernel: 'QLinearGlobalAveragePool',
    off: RATIO,
  },
  'PRelu of one slope': {
    op: 'PRelu',
    constants: [weights('k', [1], [-0.25])],
    kernel: 'QLinearLeakyRelu',
  },
  'PRelu of a slope per channel': {
    op: 'PRelu',
    constants: [weights('k', [4, 1, 1], [0.25, 0, 1, 2])],
    kernel: 'QLinearAdd',
    off: RATIO,
  },
  HardSigmoid: { op: 'HardSigmoid', kernel: 'QLinearAdd', off: RATIO },
  'HardSigmoid with numbers': {
    op: 'HardSigmoid',
    attributes: { alpha: 1, beta: 0.25 },
    kernel: 'QLinearAdd',
    off: RATIO,
  },
  HardSwish: {
    op: 'HardSwish',
    kernel: 'QLinearMul',
    off: [2, 'its gate is rounded, too'],
  },
  MaxPool: {
    op: 'MaxPool',
    attributes: { kernel_shape: [2n, 2n], strides: [2n, 2n] },
  },
  'MaxPool with padding and dilations': {
    op: 'MaxPool',
    attributes: { kernel_shape: [2n, 3n], pads: [1n, 1n, 0n, 1n], dilations: [2n, 1n] },
  },
  'MaxPool to the ceiling': {
    op: 'MaxPool',
    attributes: { kernel_shape: [4n, 4n], strides: [4n, 4n], ceil_mode: 1n },
  },
  Reshape: { op: 'Reshape', constants: [int64Tensor('k', [1, 8, 18])] },
  Transpose: { op: 'Transpose', attributes: { perm: [0n, 2n, 3n, 1n] } },
  Squeeze: { op: 'Squeeze', constants: [int64Tensor('k', [0])] },
  Unsqueeze: { op: 'Unsqueeze', constants: [int64Tensor('k', [1, -1])] },
  Flatten: { op: 'Flatten', attributes: { axis: 2n } },
  Slice: {
    op: 'Slice',
    constants: [
      int64Tensor('k', [1, 4]),
      int64Tensor('l', [3, -7]),
      int64Tensor('m', [1, 3]),
      int64Tensor('n', [1, -2]),
    ],
  },
  'Split in halves': { op: 'Split', attributes: { axis: 1n }, outputs: 2 },
  'Split as told': {
    op: 'Split',
    constants: [int64Tensor('k', [1, 3])],
    attributes: { axis: 1n },
    outputs: 2,
  },
  'Resize to the nearest': {
    op: 'Resize',
    constants: [floatTensor('', []), floatTensor('k', [1, 1, 2, 1.5])],
  },
  'Resize to a half': {
    op: 'Resize',
    constants: [floatTensor('', []), floatTensor('k', [1, 1, 0.5, 0.5])],
    attributes: { nearest_mode: 'floor', coordinate_transformation_mode: 'asymmetric' },
  },
  'Resize to a size': {
    op: 'Resize',
    constants: [floatTensor('', []), floatTensor('', []), int64Tensor('k', [1, 4, 12, 13])],
    attributes: { nearest_mode: 'ceil' },
  },
};

interface Chain {
  readonly outputs: readonly string[];
  /** Length of the last axis of o, for the product that reads it. */
  readonly last: number;
}

function modelOf(one: OpCase, { outputs, last }: Chain): OnnxModel {
  const source = randoms(3);
  const { constants = [] } = one;
  const fixed = constants.map(({ name }) => name ?? '');
  const activations = one.reads === 2 ? ['a', 'b'] : ['a'];
  const input = one.constantsFirst ? [...fixed, ...activations] : [...activations, ...fixed];
  const made = one.outputs === 2 ? ['o', 'o2'] : ['o'];
  return tinyModel({
    opset: one.opset ?? 17,
    inputs: { x: [1, [1, 3, 6, 6]] },
    outputs: Object.fromEntries(outputs.map((name) => [name, [1] as const])),
    initializers: [
      weights('wa', [4, 3, 1, 1], randomValues(source, 12)),
      weights('wb', [4, 3, 1, 1], randomValues(source, 12, 3)),
      weights('wz', [last, 2], randomValues(source, last * 2)),
      ...constants.filter(({ name }) => name !== ''),
    ],
    nodes: [
      makeNode('Conv', ['x', 'wa'], ['a']),
      makeNode('Conv', ['x', 'wb'], ['b']),
      makeNode(one.op, input, made, { attributes: one.attributes ?? {} }),
      ...made
        .map((name) => makeNode('MatMul', [name, 'wz'], [name.replace('o', 'z')]))
        .filter(({ output: [z = ''] }) => outputs.includes(z)),
    ],
  });
}

/** The op alone, in float, on given activations. */
function alone(one: OpCase, given: Readonly<Record<string, Tensor>>) {
  const model = modelOf(one, { outputs: one.outputs === 2 ? ['o', 'o2'] : ['o'], last: 1 });
  const shapes = Object.entries(given).map(([name, { shape }]) => [name, [1, shape]] as const);
  const used = one.reads === 2 ? shapes : shapes.slice(0, 1);
  const single = tinyModel({
    opset: one.opset ?? 17,
    inputs: Object.fromEntries(used),
    outputs: { o: [1], ...(one.outputs === 2 && { o2: [1] }) },
    initializers: model.graph.initializer,
    nodes: model.graph.node.slice(2, 3),
  });
  const feeds = Object.fromEntries(used.map(([name]) => [name, given[name]!]));
  return run(single, feeds, 'disabled');
}

const x = randomTensor(randoms(11), [1, 3, 6, 6], 2);

const ends = (one: OpCase) => (one.outputs === 2 ? ['z', 'z2'] : ['z']);

async function lastOf(one: OpCase): Promise<number> {
  const outputs = await run(modelOf(one, { outputs: ['o'], last: 1 }), { x });
  return outputs['o']!.shape.at(-1)!;
}

async function observed(one: OpCase): Promise<{ statistics: Statistics; last: number }> {
  const last = await lastOf(one);
  return { statistics: await observe(modelOf(one, { outputs: ends(one), last }), [{ x }]), last };
}

/** Scale and zero point as each tensor should have them. */
function paramsIn(one: OpCase, statistics: Statistics, scheme: Scheme) {
  const type = scheme.activations ?? 'u8';
  const own = (name: string): QuantParams => {
    const { min, max } = statistics.tensors.get(name)!;
    return affineParams(min, max, type);
  };
  const moved = one.kernel === undefined;
  const made = () => (one.fixed === undefined ? own('o') : affineParams(...one.fixed, type));
  return { a: own('a'), b: own('b'), o: moved ? own('a') : made() };
}

test.each(
  Object.entries(OPS).flatMap(([name, one]) =>
    (['u8', 's8'] as const).map((activations) => [name, activations, one] as const),
  ),
)('%s in %s gives what the float op gives on stored values', async (_, activations, one) => {
  const scheme: Scheme = { ...STATIC, activations, reduceRange: SATURATES };
  const { statistics, last } = await observed(one);
  const outputs = ['a', 'b', ...ends(one), ...(one.outputs === 2 ? ['o', 'o2'] : ['o'])];
  const { model } = quantizeStatic(modelOf(one, { outputs, last }), statistics, scheme);
  const got = await run(model, { x });
  const params = paramsIn(one, statistics, scheme);
  const stored = (name: 'a' | 'b') => {
    const { shape, data } = got[name]!;
    const values = real(quantity(floats(data), shape, params[name]));
    return { dtype: 'float32' as const, shape, data: values };
  };
  const wanted = await alone(one, { a: stored('a'), b: stored('b') });
  for (const name of Object.keys(wanted)) {
    const { shape, data } = wanted[name]!;
    expect(got[name]?.shape).toEqual(shape);
    const expected = quantity(floats(data), shape, params.o);
    expect(steps(expected, floats(got[name]!.data))).toBeLessThanOrEqual(one.off?.[0] ?? 0);
  }
});

/**
 * On x86 onnxruntime turns int8 into uint8 first, and leaves an op in float where that does not work:
 * beside a constant, and behind a tensor with two readers.
 */
const RUNNING = process.arch === 'arm64' ? (['u8', 's8'] as const) : (['u8'] as const);

test.each(
  Object.entries(OPS).flatMap(([name, one]) =>
    RUNNING.map((activations) => [name, activations, one] as const),
  ),
)('%s in %s runs in an integer kernel', async (_, activations, one) => {
  const { statistics, last } = await observed(one);
  const model = modelOf(one, { outputs: ends(one), last });
  const made = quantizeStatic(model, statistics, { ...STATIC, activations });
  expect(made.ops.every(({ precision }) => precision === 'integer')).toBe(true);
  const kernels = await kernelsOf(made.model, { x });
  const plain = kernels.map((kernel) => kernel.replace('Nhwc', ''));
  expect(plain).toContain(one.kernel ?? one.op);
  // Of the op itself nothing is left, unless it moves bytes.
  expect(plain.includes(one.op)).toBe(one.kernel === undefined);
  // The input is quantized, and the last product hands on float.
  expect(kernels.filter((kernel) => kernel === 'QuantizeLinear')).toHaveLength(1);
  expect(kernels).not.toContain('DequantizeLinear');
});

/** Neighbours as above, and an op that has to stay in float between them. */
const FLOAT: Readonly<Record<string, readonly [OpCase, reason: string]>> = {
  'MaxPool with indices': [
    { op: 'MaxPool', attributes: { kernel_shape: [2n, 2n] }, outputs: 2 },
    'MaxPool that returns indices has no integer kernel',
  ],
  'AveragePool with dilations': [
    {
      op: 'AveragePool',
      attributes: { kernel_shape: [2n, 2n], dilations: [2n, 1n] },
      opset: 19,
    },
    'AveragePool with dilations has no integer kernel',
  ],
  'Resize between values': [
    {
      op: 'Resize',
      constants: [floatTensor('', []), floatTensor('k', [1, 1, 2, 2])],
      attributes: { mode: 'linear' },
    },
    'Resize that interpolates or crops has no integer kernel',
  ],
  'Resize of a crop': [
    {
      op: 'Resize',
      constants: [floatTensor('r', [0, 0, 0, 0, 1, 1, 2, 2]), floatTensor('k', [1, 1, 1, 1])],
      attributes: {
        coordinate_transformation_mode: 'tf_crop_and_resize',
        extrapolation_value: 0.5,
      },
    },
    'Resize that interpolates or crops has no integer kernel',
  ],
  'Split of which one part is not read': [
    { op: 'Split', attributes: { axis: 1n }, outputs: 2 },
    'one of its outputs is not read',
  ],
  'Add of an infinite constant': [
    { op: 'Add', constants: [floatTensor('k', -Infinity)] },
    "its constant 'k' is not finite",
  ],
  Softmax: [{ op: 'Softmax' }, 'small, and its few levels near zero cost accuracy'],
  'Sub from a constant': [
    { op: 'Sub', constants: [floatTensor('k', 1)], constantsFirst: true },
    'only x - constant is said as an Add',
  ],
  'Div by zero': [
    { op: 'Div', constants: [weights('k', [4, 1, 1], [1, 0, 1, 1])] },
    'only x / constant is said as a Mul',
  ],
  'PRelu that turns back': [
    { op: 'PRelu', constants: [weights('k', [4, 1, 1], [0.25, -0.5, 1, 2])] },
    'only with one slope, or with slopes of at least zero, it is said in integer ops',
  ],
  'ReduceMean of channels': [
    { op: 'ReduceMean', attributes: { axes: [1n] } },
    'only a mean over all pixels has an integer kernel',
  ],
  Tanh: [{ op: 'Tanh' }, 'onnxruntime has no integer kernel for Tanh on the CPU'],
  Relu: [{ op: 'Relu' }, 'not behind an integer op whose range makes it superfluous'],
};

test.each(Object.entries(FLOAT))('%s stays in float', async (_, [one, reason]) => {
  const model = modelOf(one, { outputs: ['z', 'a'], last: await lastOf(one) });
  const made = quantizeStatic(model, await observe(model, [{ x }]), STATIC);
  const row = made.ops.find(({ op }) => op === one.op);
  expect(row).toEqual({ node: 'o', op: one.op, precision: 'float', reason });
  const { z } = await run(made.model, { x });
  expect(z?.shape).toEqual((await run(model, { x }))['z']?.shape);
});
