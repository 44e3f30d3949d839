import { expect, test } from '@jest/globals';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import { DataType } from '../../../agent/model/onnx/tensor.ts';
import { convShape } from '../../../agent/quantize/onnx/conv-shape.ts';
import { padIntegers, planPads } from '../../../agent/quantize/onnx/pad-channels.ts';
import type { PadSite } from '../../../agent/quantize/onnx/pad-channels.ts';
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
  weights,
} from '../support.ts';
import { SATURATES } from './reference.ts';

function site(
  node: string,
  next: string | undefined,
  channels: readonly [from: number, to: number],
  { groups = 1, kernel = 1, size = 40 } = {},
): PadSite<string> {
  const [from, to] = channels;
  const attributes = {
    group: BigInt(groups),
    pads: Array<bigint>(4).fill(BigInt((kernel - 1) / 2)),
  };
  const conv = makeNode('Conv', [], [], { attributes });
  const shape = convShape(conv, [1, from, size, size], [to, from / groups, kernel, kernel])!;
  return { node, shape, next, mayFold: true };
}

const chain = (channels: number) => [
  site('expand', 'depthwise', [16, channels]),
  site('depthwise', 'project', [channels, channels], { groups: channels, kernel: 3 }),
  site('project', undefined, [channels, 16]),
];

test('channels of a depthwise convolution are filled up to a multiple of 16', () => {
  const pads = planPads(chain(72));
  expect(pads.get('expand')).toEqual({ inputs: 16, outputs: 80 });
  expect(pads.get('depthwise')).toEqual({ inputs: 80, outputs: 80 });
  expect(pads.get('project')).toEqual({ inputs: 80, outputs: 16 });
});

test('not where they fill vectors already, or where others see them', () => {
  expect(planPads(chain(64)).size).toBe(0);
  const [expand, depthwise, project] = chain(72);
  expect(planPads([{ ...expand!, next: undefined }, depthwise!, project!]).size).toBe(0);
  expect(planPads([expand!, { ...depthwise!, next: undefined }, project!]).size).toBe(0);
});

test('one convolution may stand between two depthwise ones', () => {
  const [expand, depthwise, project] = chain(24);
  const second = [
    { ...project!, next: 'depthwise2', shape: { ...project!.shape, outputs: 40 } },
    site('depthwise2', 'project2', [40, 40], { groups: 40, kernel: 3 }),
    site('project2', undefined, [40, 16]),
  ];
  expect(planPads([expand!, depthwise!, ...second]).get('project')).toEqual({
    inputs: 32,
    outputs: 48,
  });
});

test('weights move to their places among zeros', () => {
  const made = {
    weights: Int8Array.of(1, 2, 3, 4),
    scales: Float32Array.of(0.5, 0.25),
    bias: Int32Array.of(7, 8),
    biasScales: Float32Array.of(0.1, 0.2),
  };
  const full = { dims: [2, 2, 1, 1], axis: 0, inputAxis: 1, groups: 1 };
  const wide = padIntegers(made, full, { inputs: 3, outputs: 3 });
  expect(wide.dims).toEqual([3, 3, 1, 1]);
  expect([...wide.made.weights]).toEqual([1, 2, 0, 3, 4, 0, 0, 0, 0]);
  expect([...wide.made.scales]).toEqual([0.5, 0.25, 0.25]);
  expect([...wide.made.bias!]).toEqual([7, 8, 0]);
  const depthwise = { dims: [2, 1, 1, 2], axis: 0, inputAxis: 1, groups: 2 };
  const more = padIntegers(made, depthwise, { inputs: 4, outputs: 4 });
  expect(more.dims).toEqual([4, 1, 1, 2]);
  expect([...more.made.weights]).toEqual([1, 2, 3, 4, 0, 0, 0, 0]);
});

test('the padded model makes the same outputs as the plain one, in integer kernels', async () => {
  const next = randoms(5);
  const same = { pads: [1n, 1n, 1n, 1n] };
  const shape = [1, 16, 40, 40];
  const random = (name: string, dims: readonly number[]) =>
    weights(name, [...dims], floats(randomTensor(next, [...dims], 0.5).data));
  const [w1, b1] = [random('w1', [72, 16, 1, 1]), random('b1', [72])];
  const [w2, b2] = [random('w2', [72, 1, 3, 3]), random('b2', [72])];
  const [w3, b3] = [random('w3', [16, 72, 1, 1]), random('b3', [16])];
  const model = tinyModel({
    inputs: { x: [DataType.FLOAT, shape] },
    outputs: { y: [DataType.FLOAT] },
    initializers: [w1, b1, w2, b2, w3, b3],
    nodes: [
      makeNode('Conv', ['x', 'w1', 'b1'], ['a']),
      makeNode('Relu', ['a'], ['ra']),
      makeNode('Conv', ['ra', 'w2', 'b2'], ['b'], { attributes: { ...same, group: 72n } }),
      makeNode('Relu', ['b'], ['rb']),
      makeNode('Conv', ['rb', 'w3', 'b3'], ['y']),
    ],
  });
  const x = randomTensor(next, shape);
  const statistics = await observe(model, [{ x }]);
  const scheme = { ...STATIC, reduceRange: SATURATES };
  const { model: made } = quantizeStatic(model, statistics, scheme);
  // The tensor that only the convolutions see is wider; s8 activations know no padding.
  const [wide] = made.graph.initializer.filter(({ dims }) => dims[0] === 80 && dims[1] === 16);
  expect(wide).toBeDefined();
  const { model: plain } = quantizeStatic(model, statistics, { ...scheme, activations: 's8' });
  expect(plain.graph.initializer.some(({ dims }) => dims[0] === 80)).toBe(false);
  const [expected, found] = [await run(model, { x }), await run(made, { x })];
  const [reference, got] = [floats(expected['y']!.data), floats(found['y']!.data)];
  const power = reference.reduce((sum, value) => sum + value * value, 0);
  const noise = reference.reduce((sum, value, i) => sum + (value - got[i]!) ** 2, 0);
  expect(10 * Math.log10(power / noise)).toBeGreaterThan(30);
  const kernels = await kernelsOf(made, { x });
  expect(kernels.filter((op) => op === 'QLinearConv')).toHaveLength(3);
});
