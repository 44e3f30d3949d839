import { expect, test } from '@jest/globals';
import type { NodeProto } from '../../../../agent/model/onnx/generated/messages.ts';
import { makeNode } from '../../../../agent/model/onnx/graph.ts';
import { floatTensor } from '../../../../agent/model/onnx/tensor.ts';
import { foldAffine } from '../../../../agent/quantize/onnx/prepare/fold-affine.ts';
import type { TinyModel } from '../../../support/onnx-models.ts';
import { weights } from '../../support.ts';
import { imageModel, positive, tensor, x } from './images.ts';
import { SAME, difference, opsOf, through } from './same.ts';

const conv = (bias = false) =>
  makeNode('Conv', ['x', 'w', ...(bias ? ['b'] : [])], ['c'], {
    attributes: { pads: [1n, 1n, 1n, 1n] },
  });
const transposed = (bias = false) =>
  makeNode('ConvTranspose', ['x', 'wt', ...(bias ? ['b'] : [])], ['c'], {
    attributes: { strides: [2n, 2n] },
  });
const norm = (from: string, to: string) =>
  makeNode('BatchNormalization', [from, 'scale', 'b', 'mean', 'variance'], [to], {
    attributes: { epsilon: 0.01 },
  });
const INITIALIZERS = [
  tensor('w', 6, 3, 3, 3),
  tensor('wt', 3, 6, 2, 2),
  tensor('w1', 1, 3, 3, 3),
  tensor('b', 6),
  tensor('scale', 6),
  tensor('mean', 6),
  positive('variance', 6),
  positive('k', 6, 1, 1),
  positive('k4', 1, 6, 1, 1),
  positive('row', 6),
  positive('one', 1),
  floatTensor('number', 1.5),
  positive('image', 6, 6),
  weights('zeros', [6, 1, 1], [1, 0, 1, 1, 1, 1]),
];
const withInitializers = (nodes: NodeProto[], outputs: TinyModel['outputs'] = { y: [1] }) =>
  imageModel({ outputs, initializers: INITIALIZERS, nodes });

const binary = (op: string, ...input: string[]) => makeNode(op, input, ['y']);

test.each<[string, NodeProto[]]>([
  ['BatchNormalization', [conv(), norm('c', 'y')]],
  ['BatchNormalization and a bias', [conv(true), norm('c', 'y')]],
  ['BatchNormalization behind ConvTranspose', [transposed(), norm('c', 'y')]],
  ['BatchNormalization behind ConvTranspose with a bias', [transposed(true), norm('c', 'y')]],
  ['Mul by channel', [conv(true), binary('Mul', 'c', 'k')]],
  ['Mul by channel, first', [conv(true), binary('Mul', 'k4', 'c')]],
  ['Mul by a number', [conv(), binary('Mul', 'c', 'number')]],
  ['Mul by a vector of one', [conv(), binary('Mul', 'c', 'one')]],
  ['Add by channel', [conv(), binary('Add', 'k', 'c')]],
  ['Sub by channel', [conv(true), binary('Sub', 'c', 'k4')]],
  ['Sub of a number', [transposed(), binary('Sub', 'c', 'number')]],
  ['Div by channel', [conv(true), binary('Div', 'c', 'k')]],
  [
    'a chain',
    [
      conv(true),
      makeNode('Mul', ['c', 'k'], ['d']),
      makeNode('Add', ['d', 'k4'], ['e']),
      norm('e', 'y'),
    ],
  ],
])('%s is folded into it', async (_, nodes) => {
  const model = withInitializers(nodes);
  const after = through(model, foldAffine);
  expect(after.graph.node).toHaveLength(1);
  expect(await difference(model, after, { x })).toBeLessThan(SAME);
});

test.each<[string, NodeProto[], TinyModel['outputs']?]>([
  ['its input is an output', [conv(), norm('c', 'y')], { y: [1], c: [1] }],
  ['its input has two readers', [conv(), norm('c', 'd'), binary('Add', 'd', 'c')]],
  ['it subtracts from a constant', [conv(), binary('Sub', 'k', 'c')]],
  ['it divides a constant', [conv(), binary('Div', 'k', 'c')]],
  ['it divides by zero', [conv(), binary('Div', 'c', 'zeros')]],
  ['it multiplies with itself', [conv(), binary('Mul', 'c', 'c')]],
  // As many columns as channels: the constant still lies along the columns.
  ['the constant lies along the last axis', [conv(), binary('Mul', 'c', 'row')]],
  ['the constant is an image', [conv(), binary('Add', 'c', 'image')]],
  [
    'the constant has more channels than the convolution',
    [makeNode('Conv', ['x', 'w1'], ['c']), binary('Add', 'c', 'k')],
  ],
  ['it has no kernel in front', [makeNode('Relu', ['x'], ['c']), binary('Mul', 'c', 'number')]],
])('stays when %s', (_, nodes, outputs = { y: [1] }) => {
  const model = withInitializers(nodes, outputs);
  expect(through(model, foldAffine)).toEqual(model);
});

test('weights that two convolutions share are folded for each', async () => {
  const nodes = [
    conv(),
    makeNode('Conv', ['x', 'w'], ['d'], { attributes: { pads: [1n, 1n, 1n, 1n] } }),
    makeNode('Mul', ['c', 'k'], ['e']),
    makeNode('Add', ['d', 'k4'], ['f']),
    binary('Concat', 'e', 'f'),
  ].map((node) =>
    node.opType === 'Concat'
      ? makeNode('Concat', ['e', 'f'], ['y'], { attributes: { axis: 1n } })
      : node,
  );
  const model = withInitializers(nodes);
  const after = through(model, foldAffine);
  expect(opsOf(after)).toEqual(['Conv', 'Conv', 'Concat']);
  expect(await difference(model, after, { x })).toBeLessThan(SAME);
});
