import { expect, test } from '@jest/globals';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import type { NodeProto } from '../../../agent/model/onnx/generated/messages.ts';
import { joinBias } from '../../../agent/quantize/onnx/join-bias.ts';
import { quantizeStatic } from '../../../agent/quantize/onnx/static.ts';
import { tinyModel } from '../../support/onnx-models.ts';
import type { TinyModel } from '../../support/onnx-models.ts';
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
import { SATURATES } from './reference.ts';

const SCHEME = { ...STATIC, reduceRange: SATURATES };
const next = randoms(6);
const INITIALIZERS = [
  weights('w', [8, 5], randomValues(next, 40)),
  weights('b', [5], randomValues(next, 5, 3)),
  weights('row', [1, 5], randomValues(next, 5, 3)),
  weights('matrix', [3, 5], randomValues(next, 15)),
];

function modelOf(
  shape: readonly number[],
  nodes: readonly NodeProto[],
  rest: Partial<TinyModel> = {},
) {
  const base = {
    inputs: { x: [1, shape] },
    outputs: { y: [1] },
    initializers: INITIALIZERS,
  } as const;
  return tinyModel({ ...base, nodes, ...rest });
}

const product = makeNode('MatMul', ['x', 'w'], ['p'], { name: 'product' });
const add = (bias: string, name = 'add') => makeNode('Add', [bias, 'p'], ['y'], { name });

test.each<[string, number[], string, string[]]>([
  ['matrices, with a vector', [3, 8], 'b', ['QGemm', 'QuantizeLinear']],
  ['matrices, with a row', [3, 8], 'row', ['QGemm', 'QuantizeLinear']],
  ['batches', [2, 3, 8], 'b', ['Add', 'MatMulIntegerToFloat', 'QuantizeLinear']],
  ['batches, with a row', [2, 3, 8], 'row', ['Add', 'MatMulIntegerToFloat', 'QuantizeLinear']],
  ['batches of batches', [1, 2, 3, 8], 'b', ['Add', 'MatMulIntegerToFloat', 'QuantizeLinear']],
])('products of %s and their bias run in integers', async (_, shape, bias, kernels) => {
  const model = modelOf(shape, [product, add(bias)]);
  const x = randomTensor(next, shape, 2);
  const { model: made } = quantizeStatic(model, await observe(model, [{ x }]), SCHEME);
  expect(await kernelsOf(made, { x })).toEqual(kernels);
  const [before, after] = [await run(model, { x }), await run(made, { x })];
  expect(after['y']?.shape).toEqual(before['y']?.shape);
  expect(sqnr(floats(before['y']!.data), floats(after['y']!.data))).toBeGreaterThan(35);
});

test.each<[string, NodeProto[], Partial<TinyModel>?]>([
  ['is an output', [product, add('b')], { outputs: { y: [1], p: [1] } }],
  ['has another reader', [product, makeNode('Neg', ['p'], ['n']), add('b')]],
  ['meets a matrix', [product, add('matrix')]],
  ['meets itself', [product, makeNode('Add', ['p', 'p'], ['y'])]],
  ['is multiplied', [product, makeNode('Mul', ['p', 'b'], ['y'])]],
  ['is excluded', [{ ...product, name: 'keep' }, add('b')]],
  ['meets a bias that is excluded', [product, add('b', 'keep')]],
])('a product stays that %s', async (_, nodes, rest = {}) => {
  const model = modelOf([3, 8], nodes, rest);
  const statistics = await observe(model, [{ x: randomTensor(next, [3, 8]) }]);
  expect(joinBias(model.graph, statistics, { ...SCHEME, excluded: ['keep'] })).toBe(model.graph);
});
