import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import { DataType } from '../../../agent/model/onnx/tensor.ts';
import { affineParams } from '../../../agent/quantize/arithmetic.ts';
import { convShape } from '../../../agent/quantize/onnx/conv-shape.ts';
import {
  foldWeights,
  foldedDims,
  foldedShape,
  planFold,
  possibleFolds,
  repeated,
} from '../../../agent/quantize/onnx/fold-pixels.ts';
import { quantizeStatic } from '../../../agent/quantize/onnx/static.ts';
import { tinyModel } from '../../support/onnx-models.ts';
import {
  STATIC,
  floats,
  kernelsOf,
  observe,
  randomTensor,
  randoms,
  run,
  sqnr,
  weights,
} from '../support.ts';
import { SATURATES, conv, integerLayer, quantity, real } from './reference.ts';
import type { Quantity } from './reference.ts';

const PARAMS = affineParams(-1, 1, 'u8');

/** [1, C, H, W] seen as [1, c, h, w] where both are the same bytes with channels last. */
function seenAs(x: Quantity, [c, h, w]: readonly [number, number, number]): Quantity {
  const channels = x.shape[1]!;
  const q = x.q.map((_, to) => {
    const [channel, row, column] = [Math.floor(to / (h * w)), Math.floor(to / w) % h, to % w];
    const last = (row * w + column) * c + channel;
    const [pixel, from] = [Math.floor(last / channels), last % channels];
    const area = x.q.length / channels;
    return x.q[from * area + pixel]!;
  });
  return { ...x, q, shape: [1, c, h, w] };
}

const cases = fc.record({
  inputs: fc.integer({ min: 1, max: 4 }),
  outputs: fc.integer({ min: 1, max: 3 }),
  depthwise: fc.boolean(),
  height: fc.integer({ min: 3, max: 5 }),
  groupsOfFour: fc.integer({ min: 1, max: 4 }),
  kernel: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 6 })),
  stride: fc.integer({ min: 1, max: 3 }),
  dilation: fc.integer({ min: 1, max: 2 }),
  pads: fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 3 })),
  seed: fc.nat(1000),
});

test('a fold of neighbouring pixels makes the same integers', () => {
  let folds = 0;
  fc.assert(
    fc.property(cases, (one) => {
      const next = randoms(one.seed);
      const width = 4 * one.groupsOfFour * one.stride;
      const x = quantity(
        floats(randomTensor(next, [1, one.inputs, one.height, width]).data),
        [1, one.inputs, one.height, width],
        PARAMS,
      );
      const groups = one.depthwise ? one.inputs : 1;
      const outputs = one.depthwise ? one.inputs : one.outputs;
      const dims = [outputs, one.inputs / groups, ...one.kernel];
      const values = floats(randomTensor(next, dims).data);
      const scheme = { perChannel: true, reduceRange: false };
      const layer = integerLayer(values, dims, undefined, PARAMS.scale, scheme);
      const attributes = {
        group: BigInt(groups),
        strides: [1n, BigInt(one.stride)],
        dilations: [1n, BigInt(one.dilation)],
        pads: [1n, BigInt(one.pads[0]), 0n, BigInt(one.pads[1])],
      };
      const shape = convShape(makeNode('Conv', [], [], { attributes }), x.shape, dims)!;
      if (shape.axes.some(({ output }) => output < 1)) return;
      const how = {
        groups,
        strides: [1, one.stride],
        dilations: [1, one.dilation],
        pads: [1, one.pads[0], 0, one.pads[1]],
      };
      const expected = conv(x, layer, PARAMS, how);
      for (const fold of possibleFolds(shape)) {
        folds++;
        const { inputs, axes } = foldedShape(fold);
        const [rows, line] = [axes[0]!, axes[1]!];
        const folded = {
          weights: Int32Array.from(foldWeights(Int8Array.from(layer.weights), fold)),
          dims: foldedDims(fold),
          scales: repeated(layer.scales, fold),
          bias: repeated(layer.bias, fold),
        };
        const seen = seenAs(x, [inputs, rows.input, line.input]);
        const made = conv(seen, folded, PARAMS, { pads: [1, fold.begin, 0, fold.end] });
        const [, c = 0, h = 0, w = 0] = expected.shape;
        expect([...seenAs(made, [c, h, w]).q]).toEqual([...expected.q]);
      }
    }),
    { seed: 4, numRuns: 60 },
  );
  expect(folds).toBeGreaterThan(50);
});

test('an image is folded in front of its first convolution, and the kernel agrees', async () => {
  const next = randoms(3);
  const shape = [1, 3, 64, 64];
  const kernel = floats(randomTensor(next, [8, 3, 3, 3], 0.5).data);
  const attributes = { pads: [1n, 1n, 1n, 1n], strides: [2n, 2n] };
  const float = tinyModel({
    inputs: { x: [DataType.FLOAT, shape] },
    outputs: { y: [DataType.FLOAT] },
    initializers: [weights('w', [8, 3, 3, 3], kernel)],
    nodes: [makeNode('Conv', ['x', 'w'], ['y'], { attributes })],
  });
  const x = randomTensor(next, shape);
  const statistics = await observe(float, [{ x }]);
  // Without channel means, so that no bias is corrected.
  const tensors = new Map(
    [...statistics.tensors].map(([name, { dtype, shape: seen, min, max, seenMin, seenMax }]) => [
      name,
      { dtype, shape: seen, min, max, seenMin, seenMax },
    ]),
  );
  const scheme = { ...STATIC, reduceRange: SATURATES };
  const { model } = quantizeStatic(float, { ...statistics, tensors }, scheme);
  expect(model.graph.node.filter(({ opType }) => opType === 'Reshape')).toHaveLength(2);
  const params = (name: string) =>
    affineParams(tensors.get(name)!.min, tensors.get(name)!.max, 'u8');
  const q = quantity(floats(x.data), shape, params('x'));
  const layer = integerLayer(kernel, [8, 3, 3, 3], undefined, q.params.scale, scheme);
  const expected = conv(q, layer, params('y'), { pads: [1, 1, 1, 1], strides: [2, 2] });
  expect(floats((await run(model, { x }))['y']!.data)).toEqual(real(expected));
  expect(await kernelsOf(model, { x })).toContain('QLinearConv');
});

test('no fold where channels fill the vectors, in groups, or where sizes do not divide', () => {
  const of = (input: readonly number[], kernel: readonly number[], group = 1n) =>
    planFold(convShape(makeNode('Conv', [], [], { attributes: { group } }), input, kernel)!);
  expect(of([1, 64, 32, 32], [64, 64, 1, 1])).toBeUndefined();
  expect(of([1, 16, 32, 32], [16, 1, 3, 3], 16n)).toBeUndefined();
  expect(of([1, 16, 32, 32], [16, 2, 3, 3], 8n)).toBeUndefined();
  expect(of([1, 8, 32, 32], [8, 1, 3, 3], 8n)).toMatchObject({ axis: 1, outputs: 2 });
  expect(of([1, 3, 33, 33], [8, 3, 1, 1])).toBeUndefined();
  expect(of([1, 3, 32, 32], [8, 3, 1, 1])).toMatchObject({ axis: 1 });
});

test.each([true, false])('one output channel is folded, per channel: %s', async (perChannel) => {
  const next = randoms(9);
  const x = randomTensor(next, [1, 8, 48, 64]);
  const model = tinyModel({
    inputs: { x: [DataType.FLOAT, x.shape] },
    outputs: { y: [DataType.FLOAT] },
    initializers: [weights('w', [1, 8, 5, 5], floats(randomTensor(next, [1, 8, 5, 5]).data))],
    nodes: [makeNode('Conv', ['x', 'w'], ['y'], { attributes: { pads: [2n, 2n, 2n, 2n] } })],
  });
  const scheme = { ...STATIC, perChannel, reduceRange: SATURATES };
  const { model: made } = quantizeStatic(model, await observe(model, [{ x }]), scheme);
  expect(made.graph.node.map(({ opType }) => opType)).toContain('Reshape');
  const [before, after] = [await run(model, { x }), await run(made, { x })];
  expect(sqnr(floats(before['y']!.data), floats(after['y']!.data))).toBeGreaterThan(30);
});
