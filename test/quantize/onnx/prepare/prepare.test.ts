import { expect, test } from '@jest/globals';
import { makeNode } from '../../../../agent/model/onnx/graph.ts';
import { floatTensor } from '../../../../agent/model/onnx/tensor.ts';
import { exposeConstants, simplify } from '../../../../agent/quantize/onnx/prepare/prepare.ts';
import { modelBytes, tinyModel } from '../../../support/onnx-models.ts';
import { IMAGE, positive, tensor, x } from './images.ts';
import { SAME, difference, opsOf } from './same.ts';

test('all of it together computes the same', async () => {
  const model = tinyModel({
    opset: 9,
    inputs: { x: [1, IMAGE], w: [1, [4, 3, 3, 3]] },
    outputs: { y: [1], w: [1] },
    initializers: [tensor('w', 4, 3, 3, 3), positive('v', 4), tensor('unused', 9)],
    nodes: [
      makeNode('Pad', ['x'], ['p'], { attributes: { pads: [0n, 0n, 1n, 1n, 0n, 0n, 1n, 1n] } }),
      makeNode('Conv', ['p', 'w'], ['c']),
      makeNode('BatchNormalization', ['c', 'v', 'v', 'v', 'v'], ['n']),
      makeNode('Dropout', ['n'], ['d', 'mask']),
      makeNode('Constant', [], ['k'], { attributes: { value: floatTensor('', 2) } }),
      makeNode('Mul', ['k', 'd'], ['m']),
      makeNode('Identity', ['m'], ['y']),
      makeNode('Neg', ['m'], ['nobody']),
    ],
  });
  const bytes = modelBytes(model);
  const after = simplify(exposeConstants(model));
  expect(modelBytes(model)).toEqual(bytes);
  expect(opsOf(after)).toEqual(['Conv']);
  expect(after.graph.initializer.map(({ name }) => name)).not.toContain('unused');
  expect(after.opset).toBe(13);
  expect(await difference(model, after, { x })).toBeLessThan(SAME);
});
