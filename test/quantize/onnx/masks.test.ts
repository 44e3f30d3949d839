import { expect, test } from '@jest/globals';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import { DataType, floatTensor } from '../../../agent/model/onnx/tensor.ts';
import { maskedTensors } from '../../../agent/quantize/onnx/masks.ts';
import { tinyModel } from '../../support/onnx-models.ts';

test('infinite values are meant from the mask to the Softmax, and nowhere else', () => {
  const { graph } = tinyModel({
    inputs: { x: [DataType.FLOAT, [2]], keep: [DataType.BOOL, [2]] },
    outputs: { y: [DataType.FLOAT, [2]] },
    initializers: [floatTensor('nothing', [-Infinity]), floatTensor('one', [1])],
    nodes: [
      makeNode('Div', ['x', 'one'], ['scores']),
      makeNode('Where', ['keep', 'scores', 'nothing'], ['masked']),
      makeNode('Unsqueeze', ['masked', 'axis'], ['row']),
      makeNode('Softmax', ['row'], ['shares']),
      makeNode('Mul', ['shares', 'x'], ['y']),
    ],
  });
  expect([...maskedTensors(graph)]).toEqual(['nothing', 'masked', 'row']);
});
