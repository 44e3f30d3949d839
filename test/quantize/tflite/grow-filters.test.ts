import { expect, test } from '@jest/globals';
import type { Scheme } from '../../../agent/contracts/scheme.ts';
import { schemePresets } from '../../../agent/contracts/scheme.ts';
import { growFilters } from '../../../agent/quantize/tflite/grow-filters.ts';
import { quantizeStatic } from '../../../agent/quantize/tflite/static.ts';
import { floats, sqnr } from '../support.ts';
import { GraphBuilder } from './graphs.ts';
import {
  INT16,
  NOTHING,
  STATIC,
  observe,
  observeLayers,
  opsOf,
  runAll,
  tensorNamed,
} from './support.ts';

interface Case {
  readonly size?: readonly [number, number];
  readonly taps?: number;
  readonly stride?: number;
  readonly dilation?: number;
  /** Top, bottom, left, right. */
  readonly pads?: readonly [number, number, number, number];
  readonly filters?: number;
  readonly op?: 'CONV_2D' | 'DEPTHWISE_CONV_2D';
}

/** x -> PAD -> convolution with padding VALID */
function padded(form: Case = {}) {
  const { size = [6, 8], taps = 3, stride = 2, dilation = 1, pads = [1, 1, 1, 1] } = form;
  const { filters = 4, op = 'CONV_2D' } = form;
  const g = new GraphBuilder(5);
  const x = g.input('x', [1, ...size, 3]);
  const widths = g.ints('widths', [0, 0, ...pads, 0, 0], [4, 2]);
  const full = [size[0] + pads[0] + pads[1], size[1] + pads[2] + pads[3]];
  const pad = g.make('PAD', 'pad', [x, widths], [1, ...full, 3], { kind: 'PadOptions' });
  const [height = 0, width = 0] = full.map(
    (length) => Math.floor((length - (taps - 1) * dilation - 1) / stride) + 1,
  );
  const common = {
    padding: 'VALID',
    strideW: stride,
    strideH: stride,
    fusedActivationFunction: 'RELU',
    dilationWFactor: dilation,
    dilationHFactor: dilation,
  } as const;
  const isDense = op === 'CONV_2D';
  const shape = isDense ? [filters, taps, taps, 3] : [1, taps, taps, 3];
  const made = isDense ? filters : 3;
  const y = g.make(
    op,
    'y',
    [pad, g.random('w', shape), g.random('b', [made])],
    [1, height, width, made],
    isDense
      ? { kind: 'Conv2DOptions', ...common, quantizedBiasType: 'FLOAT32' }
      : { kind: 'DepthwiseConv2DOptions', ...common, depthMultiplier: 1 },
  );
  return { g, pad, y, model: g.model([y]), samples: g.samples(2) };
}

const none = () => false;
const valuesOf = (results: Awaited<ReturnType<typeof runAll>>) =>
  results.map(({ y }) => floats(y!.data));

// Padding SAME begins half of (results - 1) * stride + reach - size, rounded down, before the input:
// of 6 elements in steps of two, 4 + 4 - 6 = 2 for 4 taps and 4 + 3 - 6 = 1 for 3.
test.each<readonly [string, Case, readonly number[]]>([
  ['steps of two', {}, [4, 4, 4, 3]],
  ['steps of two, 5 taps', { taps: 5, pads: [2, 2, 2, 2] }, [4, 6, 6, 3]],
  ['steps of three', { size: [6, 9], stride: 3 }, [4, 5, 5, 3]],
  ['one size that is odd', { size: [7, 8] }, [4, 3, 4, 3]],
  // Windows of 2 would end at 5 of 6, which XNNPACK 2.9 computes wrongly with padding SAME.
  [
    'windows that end early',
    { size: [6, 6], taps: 2, stride: 3, pads: [0, 1, 0, 1] },
    [4, 3, 3, 3],
  ],
  ['taps that lie apart', { dilation: 2, pads: [2, 2, 2, 2] }, [4, 4, 4, 3]],
])('a larger filter stands for a PAD: %s', async (_, form, shape) => {
  const { model, samples } = padded(form);
  const { graph, moved } = growFilters(model.subgraphs[0]!, NOTHING, none);
  const grown = { ...model, subgraphs: [graph] };
  expect(opsOf(grown)).toEqual(['CONV_2D']);
  expect(graph.tensors[graph.operators[0]!.inputs[1]!]!.shape).toEqual(shape);
  expect([...moved.values()]).toEqual([graph.operators[0], graph.operators[0]]);
  const reference = valuesOf(await runAll(model, samples, 'plain'));
  for (const [at, values] of valuesOf(await runAll(grown, samples, 'plain')).entries()) {
    expect(values.length).toBe(reference[at]!.length);
    expect(sqnr(reference[at]!, values)).toBeGreaterThan(120);
  }
});

test.each<readonly [string, Case]>([
  ['steps of one', { stride: 1, pads: [1, 2, 1, 2] }],
  ['a window that begins in the middle of the zeros', { pads: [2, 2, 2, 2] }],
  ['too many products', { filters: 64 }],
  ['a filter per channel, which has fast kernels of 3 x 3 alone', { op: 'DEPTHWISE_CONV_2D' }],
])('a PAD stays: %s', (_, form) => {
  const [graph] = padded(form).model.subgraphs;
  expect(growFilters(graph!, NOTHING, none)).toEqual({
    graph,
    moved: new Map(),
    statistics: NOTHING,
  });
});

test('a PAD stays for whoever else reads it, and where it is kept or a size is open', () => {
  const { g, pad, y, model } = padded();
  const other = g.make('NEG', 'other', [pad], g.shape(pad), { kind: 'NegOptions' });
  const twice = g.model([y, other]);
  const { graph } = growFilters(twice.subgraphs[0]!, NOTHING, none);
  expect(opsOf({ ...twice, subgraphs: [graph] })).toEqual(['PAD', 'CONV_2D', 'NEG']);
  expect(graph.operators[1]!.inputs[0]).toBe(g.inputs[0]);
  const [alone] = model.subgraphs;
  expect(growFilters(alone!, NOTHING, ({ op }) => op === 'PAD').moved.size).toBe(0);
  const open = { ...alone!.tensors[0]!, shapeSignature: [1, -1, 8, 3] };
  const tensors = alone!.tensors.with(0, open);
  expect(growFilters({ ...alone!, tensors }, NOTHING, none).moved.size).toBe(0);
});

test.each<readonly [string, readonly string[], Scheme]>([
  ['int8', ['QUANTIZE', 'CONV_2D', 'DEQUANTIZE'], STATIC],
  [
    'integers only, as microcontrollers take them',
    ['PAD', 'CONV_2D'],
    { ...STATIC, ...schemePresets['int8-only'] },
  ],
  ['16 bits', ['QUANTIZE', 'PAD', 'CONV_2D', 'DEQUANTIZE'], INT16],
])('%s', async (_, ops, scheme) => {
  const { model, samples } = padded();
  const { model: made } = quantizeStatic(model, await observe(model, samples), scheme);
  expect(opsOf(made)).toEqual(ops);
  if (ops[0] !== 'QUANTIZE') return;
  const reference = valuesOf(await runAll(model, samples, 'plain'));
  for (const [at, values] of valuesOf(await runAll(made, samples)).entries()) {
    expect(sqnr(reference[at]!, values)).toBeGreaterThan(30);
  }
});

test('weights that grow are rounded for what the layer makes, as others are', async () => {
  const { model, samples } = padded({ size: [24, 24], filters: 8 });
  const statistics = await observeLayers(model, samples);
  const reference = valuesOf(await runAll(model, samples, 'plain'));
  const made = async (known: typeof statistics) => {
    const { model: one } = quantizeStatic(model, known, { ...STATIC, rounding: 'adaptive' });
    expect(opsOf(one)).toEqual(['QUANTIZE', 'CONV_2D', 'DEQUANTIZE']);
    expect(tensorNamed(one, 'w_4x4').shape).toEqual([8, 4, 4, 3]);
    return sqnr(reference[0]!, valuesOf(await runAll(one, samples))[0]!);
  };
  const nearest = await made({ ...statistics, layers: new Map() });
  expect(await made(statistics)).toBeGreaterThan(nearest + 0.2);
});
