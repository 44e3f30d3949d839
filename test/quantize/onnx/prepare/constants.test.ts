import { describe, expect, test } from '@jest/globals';
import type { NodeProto, TensorProto } from '../../../../agent/model/onnx/generated/messages.ts';
import { makeAttribute, makeNode } from '../../../../agent/model/onnx/graph.ts';
import type { AttributeValue } from '../../../../agent/model/onnx/graph.ts';
import type { OnnxModel } from '../../../../agent/model/onnx/open.ts';
import { DataType, int64Tensor, makeTensor } from '../../../../agent/model/onnx/tensor.ts';
import {
  constantNodesToInitializers,
  constantPart,
  withConstants,
} from '../../../../agent/quantize/onnx/prepare/constants.ts';
import { exposeConstants } from '../../../../agent/quantize/onnx/prepare/prepare.ts';
import { tinyGraph } from '../../../support/onnx-models.ts';
import { floats, run } from '../../support.ts';
import { IMAGE, imageModel, tensor, x } from './images.ts';
import { SAME, difference, opsOf, through } from './same.ts';

const constant = (output: string, name: string, value: AttributeValue) =>
  makeNode('Constant', [], [output], { attributes: { [name]: value } });

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

const body = (op: string, out: string) =>
  tinyGraph({ outputs: { [out]: [1] }, nodes: [makeNode(op, ['x', 'b'], [out])] });

describe('constants', () => {
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
    expect(await difference(model, after, { x })).toBeLessThan(SAME);
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
    expect(await difference(old, after, { x })).toBeLessThan(SAME);
  });

  test('of a current model in an old container are found as well', async () => {
    const model = imageModel({
      opset: 13,
      inputs: { x: [1, IMAGE], k: [1, [3, 1, 1]] },
      initializers: [tensor('k', 3, 1, 1)],
      nodes: [makeNode('Add', ['x', 'k'], ['y'])],
    });
    const old = { ...model, proto: { ...model.proto, irVersion: 3 } };
    expect(await difference(old, exposeConstants(old), { x })).toBeLessThan(SAME);
  });
});

describe('the constant part', () => {
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
    expect(await difference(model, after, { x })).toBeLessThan(SAME);
  });

  test('may be an output, and read inside and by a body as well', async () => {
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
    expect(await difference(model, after, { x })).toBeLessThan(SAME);
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
