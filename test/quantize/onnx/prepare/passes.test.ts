import { describe, expect, test } from '@jest/globals';
import type { NodeProto, TensorProto } from '../../../../agent/model/onnx/generated/messages.ts';
import { makeAttribute, makeNode } from '../../../../agent/model/onnx/graph.ts';
import type { AttributeValue } from '../../../../agent/model/onnx/graph.ts';
import { withGraph } from '../../../../agent/model/onnx/open.ts';
import type { OnnxModel } from '../../../../agent/model/onnx/open.ts';
import {
  DataType,
  floatTensor,
  int64Tensor,
  makeTensor,
} from '../../../../agent/model/onnx/tensor.ts';
import {
  constantNodesToInitializers,
  constantPart,
  withConstants,
} from '../../../../agent/quantize/onnx/prepare/constants.ts';
import { foldAffine } from '../../../../agent/quantize/onnx/prepare/fold-affine.ts';
import { foldPad } from '../../../../agent/quantize/onnx/prepare/fold-pad.ts';
import { exposeConstants, simplify } from '../../../../agent/quantize/onnx/prepare/prepare.ts';
import { removeIdentities } from '../../../../agent/quantize/onnx/prepare/tidy.ts';
import type { Tensor } from '../../../../agent/runtime/types.ts';
import { modelBytes, tinyGraph, tinyModel } from '../../../support/onnx-models.ts';
import type { TinyModel } from '../../../support/onnx-models.ts';
import {
  floats,
  randomTensor,
  randomValues,
  randoms,
  run,
  sizeOf,
  weights,
} from '../../support.ts';
import { expectSame, opsOf, through } from './same.ts';

const next = randoms(21);
const tensor = (name: string, ...dims: readonly number[]) =>
  weights(name, dims, randomValues(next, sizeOf(dims)));
const positive = (name: string, ...dims: readonly number[]) =>
  weights(
    name,
    dims,
    randomValues(next, sizeOf(dims)).map((value) => value + 1.5),
  );
const IMAGE = [1, 3, 6, 6] as const;
const x: Tensor = randomTensor(next, IMAGE, 2);

function imageModel(rest: Partial<TinyModel> & Pick<TinyModel, 'nodes'>): OnnxModel {
  return tinyModel({ inputs: { x: [1, IMAGE] }, outputs: { y: [1] }, ...rest });
}

describe('constants', () => {
  const constant = (output: string, name: string, value: AttributeValue) =>
    makeNode('Constant', [], [output], { attributes: { [name]: value } });

  test('of every kind become initializers', async () => {
    const model = imageModel({
      outputs: { y: [1], z: [1] },
      nodes: [
        constant('k', 'value', tensor('', 3, 1, 1)),
        constant('f', 'value_float', 0.5),
        constant('fs', 'value_floats', [1.5, 2.5, 0.5, 4.5, 5.5, 6.5]),
        constant('starts', 'value_ints', [1n, 0n]),
        constant('ends', 'value_ints', [2n ** 63n - 1n, 2n ** 63n - 1n]),
        constant('index', 'value_int', 1n),
        makeNode('Add', ['x', 'k'], ['a']),
        makeNode('Mul', ['a', 'f'], ['b']),
        makeNode('Mul', ['b', 'fs'], ['c']),
        makeNode('Slice', ['c', 'starts', 'ends'], ['y']),
        makeNode('Gather', ['x', 'index'], ['z'], { attributes: { axis: 2n } }),
      ],
    });
    const after = through(model, constantNodesToInitializers);
    expect(opsOf(after)).toEqual(['Add', 'Mul', 'Mul', 'Slice', 'Gather']);
    // starts [1, 0] cut the batch axis: nothing is left, in both.
    await expectSame(model, after, { x });
  });

  test('stay nodes where they are an output, sparse or text', () => {
    const sparse: NodeProto = {
      ...makeNode('Constant', [], ['s']),
      attribute: [{ ...makeAttribute('sparse_value', 0), type: 11, f: undefined }],
    };
    const model = imageModel({
      outputs: { y: [1] },
      nodes: [
        constant('y', 'value', tensor('', 2)),
        constant('text', 'value_string', 'text'),
        sparse,
      ],
    });
    expect(through(model, constantNodesToInitializers)).toEqual(model);
  });

  test('that are listed as inputs are no inputs any more', async () => {
    const model = imageModel({
      opset: 8,
      inputs: { x: [1, IMAGE], k: [1, [3, 1, 1]] },
      initializers: [tensor('k', 3, 1, 1)],
      nodes: [makeNode('Add', ['x', 'k'], ['y'])],
    });
    const old = { ...model, proto: { ...model.proto, irVersion: 3 } };
    const after = exposeConstants(old);
    expect(after.graph.input.map(({ name }) => name)).toEqual(['x']);
    expect(after.proto.irVersion).toBeGreaterThanOrEqual(4);
    await expectSame(old, after, { x });
  });

  test('of a current model in an old container are found as well', async () => {
    const model = imageModel({
      opset: 13,
      inputs: { x: [1, IMAGE], k: [1, [3, 1, 1]] },
      initializers: [tensor('k', 3, 1, 1)],
      nodes: [makeNode('Add', ['x', 'k'], ['y'])],
    });
    const old = { ...model, proto: { ...model.proto, irVersion: 3 } };
    await expectSame(old, exposeConstants(old), { x });
  });
});

describe('the constant part', () => {
  async function folded(model: OnnxModel): Promise<OnnxModel> {
    const part = constantPart(model.proto, model.graph, new Map());
    if (part?.proto.graph === undefined) return model;
    const values = await run({ ...model, proto: part.proto, graph: part.proto.graph }, {});
    const tensors = new Map<string, TensorProto>();
    for (const [name, { shape, data }] of Object.entries(values)) {
      tensors.set(name, makeTensor(name, DataType.FLOAT, shape, floats(data)));
    }
    return through(model, (graph) => withConstants(graph, part, tensors));
  }

  test('is replaced by its values', async () => {
    const model = imageModel({
      initializers: [
        tensor('w', 4, 3, 1, 1),
        tensor('k', 4, 3, 1, 1),
        int64Tensor('s', [2, 6, 1, 1]),
      ],
      nodes: [
        makeNode('Mul', ['w', 'k'], ['a']),
        makeNode('Tanh', ['a'], ['b']),
        makeNode('Conv', ['x', 'b'], ['y']),
      ],
    });
    const after = await folded(model);
    expect(opsOf(after)).toEqual(['Conv']);
    expect(after.graph.initializer.map(({ name }) => name)).toContain('b');
    await expectSame(model, after, { x });
  });

  test('may be an output, and read inside and by a body as well', async () => {
    const body = (op: string, out: string) =>
      tinyGraph({ outputs: { [out]: [1] }, nodes: [makeNode(op, ['x', 'b'], [out])] });
    const model = imageModel({
      outputs: { y: [1], b: [1], z: [1] },
      initializers: [
        tensor('w', 3, 1, 1),
        tensor('b_value', 3, 1, 1),
        makeTensor('go', DataType.BOOL, [], Uint8Array.of(1)),
      ],
      nodes: [
        makeNode('Neg', ['w'], ['b']),
        makeNode('Add', ['x', 'b'], ['c']),
        makeNode('Mul', ['c', 'b_value'], ['y']),
        makeNode('If', ['go'], ['z'], {
          attributes: { then_branch: body('Sub', 't'), else_branch: body('Add', 'e') },
        }),
      ],
    });
    const after = await folded(model);
    expect(opsOf(after)).toEqual(['Identity', 'Add', 'Mul', 'If']);
    await expectSame(model, after, { x });
  });

  test('does not hold what grows, varies or has bodies', () => {
    const model = imageModel({
      initializers: [tensor('w', 3, 1, 1), int64Tensor('s', [3, 64, 64])],
      nodes: [
        makeNode('Expand', ['w', 's'], ['a']),
        makeNode('RandomNormalLike', ['w'], ['b']),
        makeNode('Add', ['x', 'b'], ['y']),
      ],
    });
    expect(constantPart(model.proto, model.graph, new Map())).toBeUndefined();
  });

  test('stays when a value is missing', () => {
    const model = imageModel({
      initializers: [tensor('w', 3, 1, 1)],
      nodes: [makeNode('Neg', ['w'], ['b']), makeNode('Add', ['x', 'b'], ['y'])],
    });
    const part = constantPart(model.proto, model.graph, new Map())!;
    expect(part.outputs).toEqual(['b']);
    expect(withConstants(model.graph, part, new Map())).toBe(model.graph);
  });
});

describe('nodes that do nothing', () => {
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
    await expectSame(model, after, { x });
  });

  test('a Dropout whose mask is an output stays', async () => {
    const model = imageModel({
      outputs: { y: [1], mask: [9] },
      nodes: [makeNode('Dropout', ['x'], ['y', 'mask'])],
    });
    const after = through(model, removeIdentities);
    await expectSame(model, after, { x });
  });

  test('are replaced inside bodies that capture them', async () => {
    const body = (nodes: NodeProto[], out: string) => tinyGraph({ outputs: { [out]: [1] }, nodes });
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
    await expectSame(model, after, { x });
  });
});

describe('arithmetic behind a convolution', () => {
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
    await expectSame(model, after, { x });
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
    await expectSame(model, after, { x });
  });
});

describe('padding in front of a convolution', () => {
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
    await expectSame(model, after, { x });
  });

  test.each<[string, NodeProto[], TinyModel['outputs']?]>([
    ['of ones', [pad('space', 'one'), conv()]],
    ['of channels', [pad('channels'), makeNode('Conv', ['p', 'w5'], ['y'])]],
    ['that cuts', [pad('cut'), conv()]],
    [
      'by reflection',
      [makeNode('Pad', ['x', 'space'], ['p'], { attributes: { mode: 'reflect' } }), conv()],
    ],
    [
      'in front of a convolution that pads itself',
      [pad('space'), conv({ auto_pad: 'SAME_UPPER' })],
    ],
    ['that is an output', [pad('space'), conv()], { y: [1], p: [1] }],
    ['that something else reads', [pad('space'), conv({}, 'a'), makeNode('Neg', ['p'], ['y'])]],
  ])('stays: %s', async (_, nodes, outputs = { y: [1] }) => {
    const model = padded(nodes, outputs);
    const after = through(model, foldPad);
    expect(after).toEqual(model);
    expect(Object.keys(await run(after, { x }))).toContain('y');
  });
});

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
  expect(withGraph(after, after.graph).opset).toBe(13);
  await expectSame(model, after, { x });
});
