import { expect, test } from '@jest/globals';
import { MS_DOMAIN, makeNode } from '../../../../agent/model/onnx/graph.ts';
import type { AttributeValue } from '../../../../agent/model/onnx/graph.ts';
import { DataType } from '../../../../agent/model/onnx/tensor.ts';
import { unfuse } from '../../../../agent/quantize/onnx/prepare/unfuse.ts';
import { withGraph } from '../../../../agent/model/onnx/open.ts';
import { tinyModel } from '../../../support/onnx-models.ts';
import { floats, randomTensor, randomValues, randoms, run, weights } from '../../support.ts';

const { FLOAT } = DataType;
const next = randoms(6);

interface Fused {
  readonly op: 'FusedConv' | 'FusedGemm' | 'FusedMatMul';
  readonly input: readonly string[];
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

const initializers = [
  weights('k', [4, 2, 3, 3], randomValues(next, 72)),
  weights('b', [4], randomValues(next, 4)),
  weights('w', [6, 8], randomValues(next, 48)),
  weights('turned', [8, 6], randomValues(next, 48)),
  weights('cube', [2, 8, 6], randomValues(next, 96)),
];

const modelOf = ({ op, input, attributes }: Fused) =>
  tinyModel({
    domains: { [MS_DOMAIN]: 1 },
    inputs: { x: [FLOAT, [1, 2, 5, 5]], z: [FLOAT, [1, 4, 5, 5]], m: [FLOAT, [3, 6]] },
    outputs: { y: [FLOAT] },
    initializers,
    nodes: [makeNode(op, input, ['y'], { domain: MS_DOMAIN, attributes, name: 'one' })],
  });

const feeds = {
  x: randomTensor(next, [1, 2, 5, 5], 2),
  z: randomTensor(next, [1, 4, 5, 5], 2),
  m: randomTensor(next, [3, 6], 2),
};

const pads = [1n, 1n, 1n, 1n];
const conv = (activation: string, params?: readonly number[], ...more: readonly string[]) => {
  const given = params === undefined ? {} : { activation_params: params };
  const attributes = { pads, activation, ...given };
  return { op: 'FusedConv', input: ['x', 'k', ...more], attributes } as const;
};
const gemm = (attributes: Fused['attributes']) =>
  ({ op: 'FusedGemm', input: ['m', 'w'], attributes }) as const;
const matMul = (b: string, attributes: Fused['attributes']) =>
  ({ op: 'FusedMatMul', input: ['m', b], attributes }) as const;

test.each<[string, readonly string[], Fused]>([
  ['a Relu', ['Conv', 'Relu'], conv('Relu', undefined, 'b')],
  ['a Clip', ['Conv', 'Clip'], conv('Clip', [0.5, 1.5])],
  ['a LeakyRelu', ['Conv', 'LeakyRelu'], conv('LeakyRelu', [0.25])],
  ['a HardSigmoid', ['Conv', 'HardSigmoid'], conv('HardSigmoid', [0.25, 0.5])],
  ['an addition', ['Conv', 'Add', 'Relu'], conv('Relu', undefined, 'b', 'z')],
  ['an addition without a bias', ['Conv', 'Add', 'Tanh'], conv('Tanh', undefined, '', 'z')],
  ['a Gemm', ['Gemm', 'Relu'], gemm({ activation: 'Relu', alpha: 0.5 })],
  [
    'a Gemm with numbers',
    ['Gemm', 'LeakyRelu'],
    gemm({ activation: 'LeakyRelu', activation_alpha: 0.125 }),
  ],
  ['a product', ['MatMul'], matMul('w', {})],
  ['a product times a number', ['MatMul', 'Mul'], matMul('w', { alpha: 0.5 })],
  ['a transposed product', ['Transpose', 'MatMul'], matMul('turned', { transB: 1n })],
  ['transposed products', ['Transpose', 'MatMul'], matMul('cube', { transB: 1n })],
])('%s is taken apart and computes the same', async (_, ops, fused) => {
  const model = modelOf(fused);
  const made = withGraph(model, unfuse(model.graph));
  expect(made.graph.node.map(({ opType }) => opType)).toEqual(ops);
  expect(made.graph.node.every(({ domain = '' }) => domain === '')).toBe(true);
  const [before, after] = [await run(model, feeds), await run(made, feeds)];
  const expected = floats(before['y']!.data);
  floats(after['y']!.data).forEach((value, at) => expect(value).toBeCloseTo(expected[at]!, 5));
});

test.each<[string, Fused]>([
  ['a transposed activation', matMul('w', { transA: 1n })],
  ['an activation that is not known', gemm({ activation: 'Swish' })],
])('%s stays', (_, fused) => {
  const { graph } = modelOf(fused);
  expect(unfuse(graph)).toBe(graph);
});
