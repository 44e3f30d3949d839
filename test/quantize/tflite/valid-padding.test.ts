import { expect, test } from '@jest/globals';
import type { TfliteModel } from '../../../agent/model/tflite/types.ts';
import { optionsOf } from '../../../agent/model/tflite/types.ts';
import { prepareTflite } from '../../../agent/quantize/tflite/prepare/prepare.ts';
import { quantizeStatic } from '../../../agent/quantize/tflite/static.ts';
import { floats } from '../support.ts';
import { GraphBuilder } from './graphs.ts';
import { STATIC, observe, opsOf, run, withSession } from './support.ts';

const OPS = ['DEPTHWISE_CONV_2D', 'CONV_2D'] as const;
type Op = (typeof OPS)[number];

/** A filter of [1 10] in steps of three over one row, with padding SAME unless there is a PAD of its own. */
function stepping(op: Op, size: number, how?: 'padded' | 'open'): TfliteModel {
  const g = new GraphBuilder();
  let x = g.input('x', [1, 1, size, 1], how === 'open' ? [1, 1, -1, 1] : undefined);
  const padded = how === 'padded';
  if (padded) {
    const widths = g.ints('widths', [0, 0, 0, 0, 0, 1, 0, 0], [4, 2]);
    x = g.make('PAD', 'wide', [x, widths], [1, 1, size + 1, 1], { kind: 'PadOptions' });
  }
  const filter = g.floats('filter', [1, 10], [1, 1, 2, 1]);
  const common = {
    padding: padded ? 'VALID' : 'SAME',
    strideW: 3,
    strideH: 3,
    dilationWFactor: 1,
    dilationHFactor: 1,
    fusedActivationFunction: 'NONE',
  } as const;
  const options =
    op === 'CONV_2D'
      ? ({ kind: 'Conv2DOptions', quantizedBiasType: 'FLOAT32', ...common } as const)
      : ({ kind: 'DepthwiseConv2DOptions', depthMultiplier: 1, ...common } as const);
  const inputs = [x, filter, g.floats('bias', [0])];
  return g.model([g.make(op, 'y', inputs, [1, 1, Math.ceil(size / 3), 1], options)]);
}

const counting = (size: number) => ({
  x: {
    dtype: 'float32' as const,
    shape: [1, 1, size, 1],
    data: Float32Array.from({ length: size }, (_, at) => at + 1),
  },
});

const notesOf = (model: TfliteModel) =>
  withSession(model, 'xnnpack', (session) => Promise.resolve(session.describe().notes));

// Windows begin at 1 and at 4; the 6 is left over. XNNPACK alone gives other sums.
const SUMS = Float32Array.of(1 + 20, 4 + 50);

test.each(OPS)('%s whose windows end early is right, though not on XNNPACK', async (op) => {
  const model = stepping(op, 6);
  expect((await run(model, counting(6)))['y']!.data).toEqual(SUMS);
  expect(await notesOf(model)).toEqual([
    expect.stringMatching(/leave over the end of their input.*own kernels/),
  ]);
});

test.each(OPS)('%s of an open size may be given one whose windows end early', async (op) => {
  const model = stepping(op, 5, 'open');
  expect((await run(model, counting(6)))['y']!.data).toEqual(SUMS);
  expect(await notesOf(model)).toHaveLength(1);
});

test.each(OPS)('%s prepared says VALID, and runs on XNNPACK', async (op) => {
  const model = prepareTflite(stepping(op, 6));
  const [operator] = model.subgraphs[0]!.operators;
  const options =
    optionsOf(operator!, 'Conv2DOptions') ?? optionsOf(operator!, 'DepthwiseConv2DOptions');
  expect(options?.padding).toBe('VALID');
  expect((await run(model, counting(6)))['y']!.data).toEqual(SUMS);
  expect(await notesOf(model)).toBeUndefined();
});

test.each(OPS)('%s whose windows reach the end stays as it is', async (op) => {
  const model = stepping(op, 5);
  expect((await run(model, counting(5)))['y']!.data).toEqual(SUMS);
  expect(await notesOf(model)).toBeUndefined();
  expect(prepareTflite(model).subgraphs[0]!.operators).toEqual(model.subgraphs[0]!.operators);
});

test.each(OPS)('a PAD that only %s leaves over does not become padding SAME', async (op) => {
  const model = prepareTflite(stepping(op, 6, 'padded'));
  expect(opsOf(model)).toEqual(['PAD', op]);
  expect((await run(model, counting(6)))['y']!.data).toEqual(SUMS);
});

test.each(OPS)('%s behind such a PAD is right in int8, on XNNPACK', async (op) => {
  const model = prepareTflite(stepping(op, 6, 'padded'));
  const { model: made } = quantizeStatic(model, await observe(model, [counting(6)]), STATIC);
  const sums = floats((await run(made, counting(6)))['y']!.data);
  // Half a step of 54 / 255 for the sums, and of 6 / 255 for what is taken 1 + 10 times.
  for (const [at, sum] of SUMS.entries()) expect(Math.abs(sums[at]! - sum)).toBeLessThan(0.5);
  expect(await notesOf(made)).toBeUndefined();
});
