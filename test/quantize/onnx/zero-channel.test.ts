import { describe, expect, test } from '@jest/globals';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import { scaleForBias } from '../../../agent/quantize/arithmetic.ts';
import { quantizeStatic } from '../../../agent/quantize/onnx/static.ts';
import { integerWeights } from '../../../agent/quantize/weights.ts';
import { tinyModel } from '../../support/onnx-models.ts';
import { STATIC, floats, kernelsOf, ranges, run, weights } from '../support.ts';

/*
 * Pruned networks have output channels without weights, which give their bias alone.
 */

const f32 = Math.fround;

test.each([
  [0.4, 1, f32(0.4) / 2 ** 24],
  [-8, 0.5, 2 ** -20],
  [0, 1, 1],
  [1e-40, 1, 1],
])('a bias of %p behind an input scale of %p asks for %p', (bias, inputScale, expected) => {
  expect(scaleForBias(f32(bias), inputScale)).toBe(expected);
});

describe('weights of [[2, 0], [1, 0]] with the biases 3 and 0.4', () => {
  const request = {
    values: Float32Array.of(2, 0, 1, 0),
    layout: { dims: [2, 2], axis: 1, inputAxis: 0, groups: 1 },
    inputScale: 1,
    perChannel: true,
    reduceRange: false,
    bias: Float32Array.of(3, 0.4),
  };

  test('keep the second bias, a channel each', () => {
    const { scales, weights: integers, bias } = integerWeights(request);
    expect(scales).toEqual(Float32Array.of(2 / 127, f32(0.4) / 2 ** 24));
    // 1 / (2 / 127) = 63.5, to the even
    expect(integers).toEqual(Int8Array.of(127, 0, 64, 0));
    // 3 / (2 / 127) = 190.5; the float32 scale is a little below 2 / 127
    expect(bias).toEqual(Int32Array.of(Math.round(3 / f32(2 / 127)), 2 ** 24));
  });

  test('all zero: the larger bias sets the one scale', () => {
    const values = new Float32Array(4);
    const { scales, bias } = integerWeights({ ...request, values, perChannel: false });
    expect(scales).toEqual(Float32Array.of(3 / 2 ** 24));
    expect(bias).toEqual(Int32Array.of(2 ** 24, Math.round((f32(0.4) / 3) * 2 ** 24)));
  });
});

test('the integer kernel gives the bias of a channel without weights', async () => {
  const model = tinyModel({
    inputs: { x: [1, [1, 1, 1, 2]] },
    outputs: { y: [1] },
    initializers: [weights('w', [2, 1, 1, 1], [0.01, 0]), weights('b', [2], [0, 0.4])],
    nodes: [makeNode('Conv', ['x', 'w', 'b'], ['y'])],
  });
  // An input in steps of 1, an output in steps of 0.01.
  const statistics = ranges({ x: [0, 255], y: [0, 2.55] });
  const { model: made } = quantizeStatic(model, statistics, STATIC);
  const x = { dtype: 'float32' as const, shape: [1, 1, 1, 2], data: Float32Array.of(200, 100) };
  expect(await kernelsOf(made, { x })).toContain('QLinearConv');
  const y = Array.from(floats((await run(made, { x }))['y']?.data), (value) => value.toFixed(2));
  expect(y).toEqual(['2.00', '1.00', '0.40', '0.40']);
});
