import { expect, test } from '@jest/globals';
import type { NodeProto } from '../../../../agent/model/onnx/generated/messages.ts';
import { makeNode } from '../../../../agent/model/onnx/graph.ts';
import type { AttributeValue } from '../../../../agent/model/onnx/graph.ts';
import { floatTensor, int64Tensor } from '../../../../agent/model/onnx/tensor.ts';
import { foldPad } from '../../../../agent/quantize/onnx/prepare/fold-pad.ts';
import type { TinyModel } from '../../../support/onnx-models.ts';
import { run } from '../../support.ts';
import { imageModel, tensor, x } from './images.ts';
import { SAME, difference, opsOf, through } from './same.ts';

const pad = (pads: string, ...more: string[]) => makeNode('Pad', ['x', pads, ...more], ['p']);
const conv = (attributes: Record<string, AttributeValue> = {}, out = 'y') =>
  makeNode('Conv', ['p', 'w'], [out], { attributes });
const INITIALIZERS = [
  tensor('w', 4, 3, 3, 3),
  int64Tensor('space', [0, 0, 1, 2, 0, 0, 0, 1]),
  int64Tensor('channels', [0, 1, 0, 0, 0, 0, 0, 0]),
  int64Tensor('cut', [0, 0, -1, 0, 0, 0, 0, 0]),
  floatTensor('zero', 0),
  floatTensor('one', 1),
  tensor('w5', 4, 4, 3, 3),
];
const padded = (nodes: NodeProto[], outputs: TinyModel['outputs'] = { y: [1] }) =>
  imageModel({ outputs, initializers: INITIALIZERS, nodes });

test.each<[string, NodeProto[]]>([
  ['of zeros', [pad('space'), conv()]],
  ['of zeros, spelt out', [pad('space', 'zero'), conv({ auto_pad: 'NOTSET' })]],
  ['is added to its own', [pad('space'), conv({ pads: [1n, 1n, 1n, 0n], strides: [2n, 1n] })]],
  ['goes with "valid"', [pad('space'), conv({ auto_pad: 'VALID' })]],
  [
    'of two convolutions',
    [
      pad('space'),
      conv({}, 'a'),
      conv({ strides: [1n, 1n] }, 'b'),
      makeNode('Add', ['a', 'b'], ['y']),
    ],
  ],
])('%s', async (_, nodes) => {
  const model = padded(nodes);
  const after = through(model, foldPad);
  expect(opsOf(after)).not.toContain('Pad');
  expect(await difference(model, after, { x })).toBeLessThan(SAME);
});

test.each<[string, NodeProto[], TinyModel['outputs']?]>([
  ['of ones', [pad('space', 'one'), conv()]],
  ['of channels', [pad('channels'), makeNode('Conv', ['p', 'w5'], ['y'])]],
  ['that cuts', [pad('cut'), conv()]],
  [
    'by reflection',
    [makeNode('Pad', ['x', 'space'], ['p'], { attributes: { mode: 'reflect' } }), conv()],
  ],
  ['in front of a convolution that pads itself', [pad('space'), conv({ auto_pad: 'SAME_UPPER' })]],
  ['that is an output', [pad('space'), conv()], { y: [1], p: [1] }],
  ['that something else reads', [pad('space'), conv({}, 'a'), makeNode('Neg', ['p'], ['y'])]],
])('stays: %s', async (_, nodes, outputs = { y: [1] }) => {
  const model = padded(nodes, outputs);
  const after = through(model, foldPad);
  expect(after).toEqual(model);
  expect(Object.keys(await run(after, { x }))).toContain('y');
});
