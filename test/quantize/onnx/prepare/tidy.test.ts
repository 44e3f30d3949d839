import { expect, test } from '@jest/globals';
import type { NodeProto } from '../../../../agent/model/onnx/generated/messages.ts';
import { makeNode } from '../../../../agent/model/onnx/graph.ts';
import { DataType, makeTensor } from '../../../../agent/model/onnx/tensor.ts';
import { simplify } from '../../../../agent/quantize/onnx/prepare/prepare.ts';
import { removeIdentities } from '../../../../agent/quantize/onnx/prepare/tidy.ts';
import { tinyGraph } from '../../../support/onnx-models.ts';
import { imageModel, x } from './images.ts';
import { SAME, difference, opsOf, through } from './same.ts';

const body = (nodes: NodeProto[], out: string) => tinyGraph({ outputs: { [out]: [1] }, nodes });

const identity = (from: string, to: string) => makeNode('Identity', [from], [to]);

test.each<[string, NodeProto[], string[], string[]]>([
  ['between others', [identity('x', 'a'), makeNode('Neg', ['a'], ['y'])], ['y'], ['Neg']],
  [
    'in a chain',
    [identity('x', 'a'), identity('a', 'b'), makeNode('Neg', ['b'], ['c']), identity('c', 'y')],
    ['y'],
    ['Neg'],
  ],
  ['between input and output', [identity('x', 'y')], ['y'], ['Identity']],
  [
    'in front of two outputs',
    [makeNode('Neg', ['x'], ['a']), identity('a', 'y'), identity('a', 'z')],
    ['y', 'z'],
    ['Neg', 'Identity', 'Identity'],
  ],
  [
    'behind an output',
    [makeNode('Neg', ['x'], ['y']), identity('y', 'z')],
    ['y', 'z'],
    ['Neg', 'Identity'],
  ],
  [
    'Dropout',
    [makeNode('Dropout', ['x'], ['a', 'mask']), makeNode('Neg', ['a'], ['y'])],
    ['y'],
    ['Neg'],
  ],
  [
    'Dropout that is told not to train',
    [makeNode('Dropout', ['x', '', 'no'], ['a']), makeNode('Neg', ['a'], ['y'])],
    ['y'],
    ['Neg'],
  ],
])('%s', async (_, nodes, outputs, left) => {
  const model = imageModel({
    outputs: Object.fromEntries(outputs.map((name) => [name, [1]])),
    initializers: [makeTensor('no', DataType.BOOL, [], Uint8Array.of(0))],
    nodes,
  });
  const after = through(model, removeIdentities);
  expect(opsOf(after)).toEqual(left);
  expect(await difference(model, after, { x })).toBeLessThan(SAME);
});

test('a Dropout whose mask is an output stays', async () => {
  const model = imageModel({
    outputs: { y: [1], mask: [9] },
    nodes: [makeNode('Dropout', ['x'], ['y', 'mask'])],
  });
  const after = through(model, removeIdentities);
  expect(await difference(model, after, { x })).toBeLessThan(SAME);
});

test('are replaced inside bodies that capture them', async () => {
  const model = imageModel({
    initializers: [makeTensor('go', DataType.BOOL, [], Uint8Array.of(1))],
    nodes: [
      identity('x', 'a'),
      makeNode('If', ['go'], ['y'], {
        attributes: {
          then_branch: body([identity('a', 't')], 't'),
          else_branch: body([makeNode('Neg', ['a'], ['e'])], 'e'),
        },
      }),
    ],
  });
  const after = simplify(model);
  expect(opsOf(after)).toEqual(['If']);
  expect(await difference(model, after, { x })).toBeLessThan(SAME);
});
