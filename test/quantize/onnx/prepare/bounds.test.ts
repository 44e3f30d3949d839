import { expect, test } from '@jest/globals';
import { makeNode } from '../../../../agent/model/onnx/graph.ts';
import {
  DataType,
  floatTensor,
  int64Tensor,
  makeTensor,
} from '../../../../agent/model/onnx/tensor.ts';
import { simplify } from '../../../../agent/quantize/onnx/prepare/prepare.ts';
import { tinyModel } from '../../../support/onnx-models.ts';
import { floats, run } from '../../support.ts';

const { FLOAT, INT64 } = DataType;

test('the larger and the smaller of a tensor and a number are clips', async () => {
  const model = tinyModel({
    inputs: { x: [FLOAT, [4]] },
    outputs: { y: [FLOAT, [4]] },
    initializers: [floatTensor('low', -1), floatTensor('high', 6)],
    nodes: [makeNode('Max', ['x', 'low'], ['m']), makeNode('Min', ['high', 'm'], ['y'])],
  });
  const made = simplify(model);
  expect(made.graph.node.map(({ opType }) => opType)).toEqual(['Clip', 'Clip']);
  const feeds = {
    x: { dtype: 'float32', shape: [4], data: Float32Array.of(-3, 0.5, 6, 9) },
  } as const;
  expect([...floats((await run(made, feeds))['y']?.data)]).toEqual([-1, 0.5, 6, 6]);
});

test('a number with axes is one, too, where the tensor has as many', () => {
  const four = makeTensor('four', FLOAT, [1, 1, 1, 1], Float32Array.of(0.5));
  const model = tinyModel({
    inputs: { x: [FLOAT, [1, 2, 3, 3]], v: [FLOAT, [3]] },
    outputs: { y: [FLOAT], z: [FLOAT] },
    initializers: [four, makeTensor('w', FLOAT, [2, 2, 1, 1], new Float32Array(4))],
    nodes: [
      makeNode('Conv', ['x', 'w'], ['c']),
      makeNode('LeakyRelu', ['c'], ['l']),
      makeNode('Max', ['l', 'four'], ['y']),
      makeNode('Max', ['v', 'four'], ['z']),
    ],
  });
  const { node } = simplify(model).graph;
  expect(node.map(({ opType }) => opType)).toEqual(['Conv', 'LeakyRelu', 'Clip', 'Max']);
});

test('what is not one number of float32, or no bound at all, stays', () => {
  const model = tinyModel({
    inputs: { x: [FLOAT, [2]], i: [INT64, [2]] },
    outputs: { a: [FLOAT], b: [FLOAT], c: [FLOAT], d: [INT64], e: [FLOAT] },
    initializers: [
      floatTensor('row', [1, 2]),
      makeTensor('one', FLOAT, [1, 1], Float32Array.of(1)),
      floatTensor('zero', 0),
      int64Tensor('two', [2]),
      floatTensor('endless', Infinity),
    ],
    nodes: [
      makeNode('Max', ['x', 'row'], ['a']),
      makeNode('Max', ['x', 'one'], ['b']),
      makeNode('Max', ['x', 'x', 'zero'], ['c']),
      makeNode('Max', ['i', 'two'], ['d']),
      makeNode('Min', ['x', 'endless'], ['e']),
    ],
  });
  expect(simplify(model).graph.node.map(({ opType }) => opType)).toEqual([
    'Max',
    'Max',
    'Max',
    'Max',
    'Min',
  ]);
});
