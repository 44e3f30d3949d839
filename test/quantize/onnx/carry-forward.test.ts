import { expect, test } from '@jest/globals';
import type { NodeProto } from '../../../agent/model/onnx/generated/messages.ts';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import type { OnnxModel } from '../../../agent/model/onnx/open.ts';
import { int64Tensor } from '../../../agent/model/onnx/tensor.ts';
import { quantizeStatic } from '../../../agent/quantize/onnx/static.ts';
import { tinyModel } from '../../support/onnx-models.ts';
import {
  STATIC,
  floats,
  observe,
  randomTensor,
  randomValues,
  randoms,
  run,
  sqnr,
  weights,
} from '../support.ts';
import { SATURATES } from './reference.ts';

/*
 * Int8 activations, opset 21 and later: what moves values behind a convolution and before float ops.
 */

const next = randoms(23);
const x = randomTensor(next, [1, 4, 6, 6], 2);

function network(opset: number, nodes: readonly NodeProto[]): OnnxModel {
  return tinyModel({
    opset,
    inputs: { x: [1, [1, 4, 6, 6]] },
    outputs: { y: [1] },
    nodes: [makeNode('Conv', ['x', 'w'], ['a']), ...nodes],
    initializers: [
      weights('w', [8, 4, 1, 1], randomValues(next, 32)),
      int64Tensor('flat', [1, -1]),
      int64Tensor('one', [1]),
      int64Tensor('three', [3]),
      int64Tensor('axis', [0]),
    ],
  });
}

const turned = (from: string, to: string) =>
  makeNode('Transpose', [from], [to], { attributes: { perm: [0n, 2n, 3n, 1n] } });

const MOVES: Readonly<Record<string, readonly NodeProto[]>> = {
  'Transpose before Tanh': [turned('a', 'b'), makeNode('Tanh', ['b'], ['y'])],
  'Transpose at the end': [turned('a', 'y')],
  'MaxPool before Tanh': [
    makeNode('MaxPool', ['a'], ['b'], { attributes: { kernel_shape: [2n, 2n] } }),
    makeNode('Tanh', ['b'], ['y']),
  ],
  'a chain of four': [
    turned('a', 'b'),
    makeNode('Reshape', ['b', 'flat'], ['c']),
    makeNode('Slice', ['c', 'one', 'three', 'one'], ['d']),
    makeNode('Unsqueeze', ['d', 'axis'], ['e']),
    makeNode('Tanh', ['e'], ['y']),
  ],
  'two readers': [
    turned('a', 'b'),
    makeNode('Tanh', ['b'], ['c']),
    makeNode('Cos', ['b'], ['d']),
    makeNode('Sub', ['c', 'd'], ['y']),
  ],
};

test.each(
  Object.entries(MOVES).flatMap(([name, nodes]) =>
    [20, 21, 24].flatMap((opset) =>
      (['qdq', 'qoperator'] as const).map((format) => [name, opset, format, nodes] as const),
    ),
  ),
)('%s in int8, opset %i, as %s, loads and computes the same', async (_, opset, format, nodes) => {
  const model = network(opset, nodes);
  const scheme = { ...STATIC, activations: 's8', format, reduceRange: SATURATES } as const;
  const { model: made } = quantizeStatic(model, await observe(model, [{ x }]), scheme);
  const wanted = (await run(made, { x }, 'disabled'))['y']!;
  const got = (await run(made, { x }))['y']!;
  expect(got.shape).toEqual(wanted.shape);
  expect(sqnr(floats(wanted.data), floats(got.data))).toBeGreaterThan(35);
  expect(sqnr(floats((await run(model, { x }))['y']!.data), floats(got.data))).toBeGreaterThan(18);
});
