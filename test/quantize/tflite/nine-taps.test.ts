import { expect, test } from '@jest/globals';
import type { Scheme } from '../../../agent/contracts/scheme.ts';
import { schemePresets } from '../../../agent/contracts/scheme.ts';
import { widenFilters } from '../../../agent/quantize/tflite/nine-taps.ts';
import { quantizeStatic } from '../../../agent/quantize/tflite/static.ts';
import { floats, sqnr } from '../support.ts';
import { GraphBuilder } from './graphs.ts';
import { INT16, NOTHING, STATIC, observe, observeLayers, run, tensorNamed } from './support.ts';

interface Form {
  readonly size: readonly [number, number];
  readonly taps: readonly [number, number];
  readonly stride?: number;
  readonly padding?: 'SAME' | 'VALID';
  readonly dilation?: number;
  readonly multiplier?: number;
}

const resultOf = (form: Form) => (axis: 0 | 1) => {
  const { size, taps, stride = 1, padding = 'SAME', dilation = 1 } = form;
  const reach = padding === 'VALID' ? (taps[axis] - 1) * dilation : 0;
  return Math.ceil((size[axis] - reach) / stride);
};

function depthwise(form: Form) {
  const { size, taps, stride = 1, padding = 'SAME', dilation = 1, multiplier = 1 } = form;
  const g = new GraphBuilder(7);
  const x = g.input('x', [1, ...size, 4]);
  const w = g.random('w', [1, ...taps, 4 * multiplier]);
  const b = g.random('b', [4 * multiplier]);
  const result = resultOf(form);
  const y = g.make('DEPTHWISE_CONV_2D', 'y', [x, w, b], [1, result(0), result(1), 4 * multiplier], {
    kind: 'DepthwiseConv2DOptions',
    padding,
    strideW: stride,
    strideH: stride,
    depthMultiplier: multiplier,
    fusedActivationFunction: 'NONE',
    dilationWFactor: dilation,
    dilationHFactor: dilation,
  });
  return { g, model: g.model([y]) };
}

const filters = (shapes: readonly { readonly shape: readonly number[] }[]) =>
  shapes.map(({ shape }) => shape.slice(1, 3).join('x'));

test.each<Form>([
  { size: [6, 7], taps: [1, 1] },
  { size: [6, 7], taps: [1, 1], padding: 'VALID' },
  { size: [6, 7], taps: [1, 1], stride: 2 },
  { size: [6, 7], taps: [1, 1], stride: 2, padding: 'VALID' },
  { size: [6, 7], taps: [2, 2] },
  { size: [6, 7], taps: [2, 2], stride: 2 },
  { size: [5, 5], taps: [1, 3] },
  { size: [5, 5], taps: [3, 1], multiplier: 2 },
  { size: [5, 6], taps: [2, 1], stride: 3 },
])('%j: a filter of 3 x 3 makes the same sums', async (form) => {
  const { g, model } = depthwise(form);
  const { graph, moved } = widenFilters(model.subgraphs[0]!, NOTHING, () => false);
  expect(moved.size).toBe(1);
  const wide = { ...model, subgraphs: [graph] };
  const [feeds] = g.samples(1);
  // XNNPACK 2.9 itself is wrong where strides are longer than filters.
  const [before, after] = [await run(model, feeds!, 'plain'), await run(wide, feeds!)];
  expect(after['y']!.shape).toEqual(before['y']!.shape);
  expect(sqnr(floats(before['y']!.data), floats(after['y']!.data))).toBeGreaterThan(120);
});

test.each<Form>([
  { size: [6, 6], taps: [2, 2], padding: 'VALID' },
  { size: [6, 6], taps: [2, 2], dilation: 2 },
  { size: [6, 6], taps: [3, 3] },
  { size: [6, 6], taps: [1, 5] },
])('%j stays as it is', (form) => {
  const [graph] = depthwise(form).model.subgraphs;
  expect(widenFilters(graph!, NOTHING, () => false)).toEqual({
    graph,
    moved: new Map(),
    statistics: NOTHING,
  });
});

test('where a side is open, the filter stays', () => {
  const [graph] = depthwise({ size: [6, 7], taps: [1, 1], stride: 2 }).model.subgraphs;
  const tensors = graph!.tensors.with(0, {
    ...graph!.tensors[0]!,
    shapeSignature: [1, -1, 7, 4],
  });
  expect(widenFilters({ ...graph!, tensors }, NOTHING, () => false).moved.size).toBe(0);
});

test.each<readonly [string, string, Scheme]>([
  ['int8', '3x3', STATIC],
  [
    'integers only, as microcontrollers take them',
    '1x1',
    { ...STATIC, ...schemePresets['int8-only'] },
  ],
  ['16 bits', '1x1', INT16],
  ['excluded', '1x1', { ...STATIC, excluded: ['y'] }],
])('%s: filters of %s', async (_, shape, scheme) => {
  const { g, model: single } = depthwise({ size: [6, 6], taps: [1, 1] });
  const model = g.model([g.conv('z', single.subgraphs[0]!.outputs[0]!, 4)]);
  const [feeds] = g.samples(1);
  const { model: made, ops } = quantizeStatic(model, await observe(model, [feeds!]), scheme);
  const [graph] = made.subgraphs;
  const layer = graph!.operators.find(({ op }) => op === 'DEPTHWISE_CONV_2D');
  expect(filters([graph!.tensors[layer!.inputs[1]!]!])).toEqual([shape]);
  expect(ops[0]).toMatchObject({ node: 'y', op: 'DEPTHWISE_CONV_2D' });
});

test('wider filters are rounded for what the layer makes, as others are', async () => {
  const { g, model } = depthwise({ size: [12, 12], taps: [2, 2] });
  const samples = g.samples(2);
  const statistics = await observeLayers(model, samples);
  const made = (known: typeof statistics) => {
    const { model: one } = quantizeStatic(model, known, { ...STATIC, rounding: 'adaptive' });
    return [...tensorNamed(one, 'w_3x3').data!];
  };
  const nearest = made({ ...statistics, layers: new Map() });
  const rounded = made(statistics);
  expect(rounded).not.toEqual(nearest);
  // The taps that were added, in the last row and column, stay without effect.
  expect(rounded.filter((value) => value !== 0)).toHaveLength(2 * 2 * 4);
});
