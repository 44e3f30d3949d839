import { expect, test } from '@jest/globals';
import type { NodeProto } from '../../../../agent/model/onnx/generated/messages.ts';
import { makeNode } from '../../../../agent/model/onnx/graph.ts';
import type { AttributeValue } from '../../../../agent/model/onnx/graph.ts';
import { DataType, floatTensor, int64Tensor } from '../../../../agent/model/onnx/tensor.ts';
import {
  TARGET_OPSET,
  upgradeOpset,
} from '../../../../agent/quantize/onnx/prepare/upgrade-opset.ts';
import type { TinyGraph } from '../../../support/onnx-models.ts';
import { modelBytes, tinyGraph, tinyModel } from '../../../support/onnx-models.ts';
import { randomTensor, randoms, weights } from '../../support.ts';
import { SAME, difference, opsOf } from './same.ts';

interface Case {
  readonly opsets: readonly number[];
  readonly op: string;
  readonly x?: readonly number[];
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  /** Inputs after x. */
  readonly more?: readonly string[];
  readonly outputs?: readonly string[];
}

const LARGEST = 2n ** 63n - 1n;
const FROM_7 = [7, 8, 9, 10, 11, 12];
const TO_9 = [7, 8, 9];
const TO_10 = [7, 8, 9, 10];
const TO_11 = [7, 8, 9, 10, 11];

const CASES: Readonly<Record<string, Case>> = {
  Slice: { opsets: TO_9, op: 'Slice', attributes: { starts: [1n], ends: [3n], axes: [2n] } },
  'Slice of the first axes': {
    opsets: TO_9,
    op: 'Slice',
    attributes: { starts: [0n, 1n], ends: [1n, 3n] },
  },
  'Slice to the end': {
    opsets: TO_9,
    op: 'Slice',
    attributes: { starts: [-2n, 1n], ends: [LARGEST, LARGEST], axes: [3n, 1n] },
  },
  TopK: { opsets: TO_9, op: 'TopK', attributes: { k: 2n, axis: 1n }, outputs: ['y', 'i'] },
  'Upsample to the nearest': {
    opsets: [7, 8],
    op: 'Upsample',
    attributes: { scales: [1, 1, 2, 1.5], mode: 'nearest' },
  },
  'Upsample between': {
    opsets: [7, 8],
    op: 'Upsample',
    attributes: { scales: [1, 1, 2, 3], mode: 'linear' },
  },
  'Upsample by an input': { opsets: [9], op: 'Upsample', more: ['scales'] },
  'Upsample between by an input': {
    opsets: [9],
    op: 'Upsample',
    attributes: { mode: 'linear' },
    more: ['scales'],
  },
  'Resize up': { opsets: [10], op: 'Resize', more: ['scales'] },
  'Resize up between': {
    opsets: [10],
    op: 'Resize',
    attributes: { mode: 'linear' },
    more: ['scales'],
  },
  'Resize down': { opsets: [10], op: 'Resize', more: ['half'] },
  'Resize down between': {
    opsets: [10],
    op: 'Resize',
    attributes: { mode: 'linear' },
    more: ['half'],
  },
  'Resize 11 with corners': {
    opsets: [11, 12],
    op: 'Resize',
    attributes: { mode: 'linear', coordinate_transformation_mode: 'align_corners' },
    more: ['roi', 'scales'],
  },
  'Resize 11 as TensorFlow did': {
    opsets: [11, 12],
    op: 'Resize',
    attributes: { coordinate_transformation_mode: 'tf_half_pixel_for_nn' },
    more: ['roi', 'scales'],
  },
  Pad: { opsets: TO_10, op: 'Pad', attributes: { pads: [0n, 0n, 1n, 2n, 0n, 0n, 0n, 1n] } },
  'Pad with a value': {
    opsets: TO_10,
    op: 'Pad',
    attributes: { pads: [0n, 1n, 0n, 0n, 0n, 0n, 0n, 0n], value: 1.5 },
  },
  'Pad by reflection': {
    opsets: TO_10,
    op: 'Pad',
    attributes: { pads: [0n, 0n, 1n, 1n, 0n, 0n, 1n, 1n], mode: 'reflect' },
  },
  'Pad by the edge': {
    opsets: TO_10,
    op: 'Pad',
    attributes: { pads: [0n, 0n, 1n, 1n, 0n, 0n, 1n, 1n], mode: 'edge' },
  },
  'Pad that cuts': {
    opsets: TO_10,
    op: 'Pad',
    attributes: { pads: [0n, 0n, -1n, 0n, 0n, 0n, 0n, -1n] },
  },
  Clip: { opsets: TO_10, op: 'Clip', attributes: { min: -0.5, max: 0.25 } },
  'Clip from below': { opsets: TO_10, op: 'Clip', attributes: { min: 0 } },
  'Clip from above': { opsets: TO_10, op: 'Clip', attributes: { max: 0.1 } },
  'Clip of nothing': { opsets: TO_10, op: 'Clip' },
  Scatter: { opsets: [9, 10], op: 'Scatter', attributes: { axis: 1n }, more: ['index', 'updates'] },
  Dropout: { opsets: TO_11, op: 'Dropout', attributes: { ratio: 0.9 } },
  Squeeze: { opsets: FROM_7, op: 'Squeeze', x: [1, 3, 1, 4], attributes: { axes: [2n] } },
  'Squeeze of all': { opsets: FROM_7, op: 'Squeeze', x: [1, 3, 1, 4] },
  'Squeeze from the end': {
    opsets: [11, 12],
    op: 'Squeeze',
    x: [1, 3, 1, 4],
    attributes: { axes: [-2n] },
  },
  Unsqueeze: { opsets: FROM_7, op: 'Unsqueeze', attributes: { axes: [0n, 3n] } },
  ReduceSum: { opsets: FROM_7, op: 'ReduceSum', attributes: { axes: [1n, 3n], keepdims: 0n } },
  'ReduceSum of all': { opsets: FROM_7, op: 'ReduceSum' },
  Split: {
    opsets: FROM_7,
    op: 'Split',
    attributes: { axis: 1n, split: [1n, 2n] },
    outputs: ['y', 'z'],
  },
  'Split in halves': { opsets: FROM_7, op: 'Split', attributes: { axis: 2n }, outputs: ['y', 'z'] },
  Softmax: { opsets: FROM_7, op: 'Softmax' },
  'Softmax of the last axis': { opsets: FROM_7, op: 'Softmax', attributes: { axis: 3n } },
  'Softmax from the first axis': { opsets: FROM_7, op: 'Softmax', attributes: { axis: 0n } },
  'Softmax from the end': { opsets: [11, 12], op: 'Softmax', attributes: { axis: -2n } },
  'Softmax of the very last': { opsets: [11, 12], op: 'Softmax', attributes: { axis: -1n } },
  'Softmax of rows': { opsets: FROM_7, op: 'Softmax', x: [3, 5] },
  LogSoftmax: { opsets: FROM_7, op: 'LogSoftmax', attributes: { axis: 2n } },
  Hardmax: { opsets: FROM_7, op: 'Hardmax', attributes: { axis: 2n } },
  BatchNormalization: {
    opsets: FROM_7,
    op: 'BatchNormalization',
    more: ['three', 'three', 'three', 'three'],
    attributes: { epsilon: 0.01 },
  },
  'BatchNormalization over space': {
    opsets: [7, 8],
    op: 'BatchNormalization',
    more: ['three', 'three', 'three', 'three'],
    attributes: { spatial: 1n },
  },
};

const CONSTANTS = [
  floatTensor('scales', [1, 1, 2, 1.5]),
  floatTensor('half', [1, 1, 0.7, 0.6]),
  floatTensor('roi', []),
  weights('three', [3], [1, 2, 3]),
  int64Tensor('flat', [0]),
  weights('updates', [1, 1, 1, 2], [7, 8]),
  { ...int64Tensor('index', [2, 1]), dims: [1, 1, 1, 2] },
];

function graphOf({ op, x = [1, 3, 4, 6], more = [], attributes = {}, outputs }: Case): TinyGraph {
  const used = CONSTANTS.filter(({ name }) => more.includes(name ?? ''));
  return {
    inputs: { x: [1, x] },
    outputs: Object.fromEntries((outputs ?? ['y']).map((name) => [name, [name === 'i' ? 7 : 1]])),
    initializers: used,
    nodes: [makeNode(op, ['x', ...more], outputs ?? ['y'], { attributes })],
  };
}

const each = Object.entries(CASES).flatMap(([name, one]) =>
  one.opsets.map((opset) => [name, opset, one] as const),
);

test.each(each)('%s of opset %d', async (_, opset, one) => {
  const model = tinyModel({ ...graphOf(one), opset });
  const bytes = modelBytes(model);
  const upgraded = upgradeOpset(model);
  expect(modelBytes(model)).toEqual(bytes);
  expect(upgraded.opset).toBe(TARGET_OPSET);
  const x = randomTensor(randoms(opset), one.x ?? [1, 3, 4, 6]);
  expect(await difference(model, upgraded, { x })).toBeLessThan(SAME);
});

const branch = (node: NodeProto) =>
  tinyGraph({ outputs: { [node.output[0]!]: [1] }, nodes: [node] });

test('ops inside the branches of an If are upgraded too', async () => {
  const model = tinyModel({
    opset: 9,
    inputs: { go: [DataType.BOOL, []], x: [1, [1, 3, 4, 6]] },
    outputs: { y: [1] },
    nodes: [
      makeNode('If', ['go'], ['y'], {
        attributes: {
          then_branch: branch(
            makeNode('Slice', ['x'], ['t'], {
              attributes: { starts: [0n], ends: [LARGEST], axes: [3n] },
            }),
          ),
          else_branch: branch(makeNode('Clip', ['x'], ['e'], { attributes: { min: 0 } })),
        },
      }),
    ],
  });
  const upgraded = upgradeOpset(model);
  const x = randomTensor(randoms(1), [1, 3, 4, 6]);
  for (const value of [0, 1]) {
    const go = { dtype: 'bool', shape: [], data: Uint8Array.of(value) } as const;
    // oxlint-disable-next-line no-await-in-loop -- one session at a time
    expect(await difference(model, upgraded, { go, x })).toBeLessThan(SAME);
  }
});

test('new names keep clear of those that are there', async () => {
  const model = tinyModel({
    opset: 9,
    inputs: { x: [1, [2, 3, 4]] },
    outputs: { y: [1], y_rows: [1] },
    nodes: [
      makeNode('Neg', ['x'], ['y_flat']),
      makeNode('Clip', ['y_flat'], ['y_rows'], { attributes: { min: 0 }, name: 'y' }),
      makeNode('Softmax', ['x'], ['y'], { name: '' }),
    ],
  });
  const x = randomTensor(randoms(1), [2, 3, 4]);
  expect(await difference(model, upgradeOpset(model), { x })).toBeLessThan(SAME);
});

test('a current model is left alone', () => {
  const model = tinyModel({ ...graphOf({ opsets: [], op: 'Relu' }), opset: 13 });
  expect(upgradeOpset(model)).toBe(model);
});

test('other domains keep their versions', () => {
  const model = tinyModel({
    ...graphOf({ opsets: [], op: 'Relu' }),
    opset: 11,
    domains: { 'com.microsoft': 1 },
  });
  expect(upgradeOpset(model).proto.opsetImport).toEqual([
    { domain: '', version: 13 },
    { domain: 'com.microsoft', version: 1 },
  ]);
});

test.each<[string, number, NodeProto[]]>([
  ['is too old', 6, [makeNode('Relu', ['x'], ['y'])]],
  [
    'statistics per element',
    7,
    [
      makeNode('BatchNormalization', ['x', 'a', 'a', 'a', 'a'], ['y'], {
        attributes: { spatial: 0n },
      }),
    ],
  ],
  ['Scan with a batch axis', 8, [makeNode('Scan', ['', 'x'], ['y'])]],
  [
    'its mask is read',
    10,
    [
      makeNode('Dropout', ['x'], ['d', 'mask']),
      makeNode('Cast', ['mask'], ['y'], { attributes: { to: 1n } }),
    ],
  ],
  ['shrinks one axis and grows another', 10, [makeNode('Resize', ['x', 'mixed'], ['y'])]],
])('refused: %s', (what, opset, nodes) => {
  const model = tinyModel({
    opset,
    inputs: { x: [1, [1, 3, 4, 6]], a: [1, [3]] },
    outputs: { y: [1] },
    initializers: [floatTensor('mixed', [1, 1, 2, 0.5])],
    nodes,
  });
  expect(() => upgradeOpset(model)).toThrow(what);
});

test('a mask that nobody reads is dropped', () => {
  const model = tinyModel({
    opset: 10,
    inputs: { x: [1, [3]] },
    outputs: { y: [1] },
    nodes: [makeNode('Dropout', ['x'], ['y', 'mask'])],
  });
  expect(opsOf(upgradeOpset(model))).toEqual(['Identity']);
});
