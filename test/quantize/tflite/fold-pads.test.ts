import { expect, test } from '@jest/globals';
import { prepareTflite } from '../../../agent/quantize/tflite/prepare/prepare.ts';
import { quantizeStatic } from '../../../agent/quantize/tflite/static.ts';
import { floats } from '../support.ts';
import { GraphBuilder } from './graphs.ts';
import { STATIC, observe, opsOf, runAll } from './support.ts';

interface Case {
  readonly size: number;
  readonly taps: number;
  readonly stride: number;
  readonly dilation?: number;
  /** Before and after, on both axes. */
  readonly pads: readonly [number, number];
  readonly channelPads?: number;
}

/** x -> PAD -> convolution with padding VALID */
function padded({ size, taps, stride, dilation = 1, pads, channelPads = 0 }: Case) {
  const g = new GraphBuilder(3);
  const x = g.input('x', [1, size, size, 2]);
  const [before, after] = pads;
  const full = size + before + after;
  const widths = g.ints('widths', [0, 0, before, after, before, after, 0, channelPads], [4, 2]);
  const channels = 2 + channelPads;
  const pad = g.make('PAD', 'pad', [x, widths], [1, full, full, channels], { kind: 'PadOptions' });
  const result = Math.floor((full - (taps - 1) * dilation - 1) / stride) + 1;
  const weights = [g.random('w', [4, taps, taps, channels]), g.random('b', [4])];
  const y = g.make('CONV_2D', 'y', [pad, ...weights], [1, result, result, 4], {
    kind: 'Conv2DOptions',
    padding: 'VALID',
    strideW: stride,
    strideH: stride,
    fusedActivationFunction: 'NONE',
    dilationWFactor: dilation,
    dilationHFactor: dilation,
    quantizedBiasType: 'FLOAT32',
  });
  return { g, pad, model: g.model([y]), samples: g.samples(2) };
}

const valuesOf = (results: Awaited<ReturnType<typeof runAll>>) =>
  results.map(({ y }) => [...floats(y!.data)]);

// Before padding SAME stands half of (results - 1) * stride + reach - size, rounded down.
test.each<[string, Case]>([
  ['3 taps', { size: 6, taps: 3, stride: 1, pads: [1, 1] }],
  ['4 taps', { size: 6, taps: 4, stride: 1, pads: [1, 2] }],
  ['3 taps, 2 apart', { size: 6, taps: 3, stride: 1, dilation: 2, pads: [2, 2] }],
  ['steps of two from the first', { size: 6, taps: 3, stride: 2, pads: [0, 1] }],
  ['steps of two, an odd size', { size: 7, taps: 3, stride: 2, pads: [1, 1] }],
])('a PAD is left to the convolution: %s', async (_, form) => {
  const { model, samples } = padded(form);
  const prepared = prepareTflite(model);
  expect(opsOf(prepared)).toEqual(['CONV_2D']);
  const reference = valuesOf(await runAll(model, samples, 'plain'));
  expect(valuesOf(await runAll(prepared, samples, 'plain'))).toEqual(reference);
  const { model: made } = quantizeStatic(prepared, await observe(prepared, samples), STATIC);
  expect(opsOf(made)).toEqual(['QUANTIZE', 'CONV_2D', 'DEQUANTIZE']);
});

test.each<[string, Case]>([
  ['one element later', { size: 6, taps: 3, stride: 2, pads: [1, 1] }],
  ['one result more', { size: 6, taps: 3, stride: 1, pads: [1, 2] }],
  ['too little', { size: 6, taps: 3, stride: 1, pads: [1, 0] }],
  ['channels', { size: 6, taps: 3, stride: 1, pads: [1, 1], channelPads: 1 }],
])('a PAD stays that adds something else: %s', (_, form) => {
  expect(opsOf(prepareTflite(padded(form).model))).toEqual(['PAD', 'CONV_2D']);
});

test('a PAD stays for whoever else reads it', () => {
  const { g, pad } = padded({ size: 6, taps: 3, stride: 1, pads: [1, 1] });
  const [x = -1] = g.inputs;
  const twice = g.make('NEG', 'other', [pad], g.shape(pad), { kind: 'NegOptions' });
  const prepared = prepareTflite(g.model([g.tensors.length - 2, twice]));
  expect(opsOf(prepared)).toEqual(['PAD', 'CONV_2D', 'NEG']);
  expect(prepared.subgraphs[0]!.operators[1]!.inputs[0]).toBe(x);
});

test('a PAD that is an output stays', () => {
  const { g, pad, model } = padded({ size: 6, taps: 3, stride: 1, pads: [1, 1] });
  const [y = -1] = model.subgraphs[0]!.outputs;
  expect(opsOf(prepareTflite(g.model([y, pad])))).toEqual(['PAD', 'CONV_2D']);
});
