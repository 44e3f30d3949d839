import { expect, test } from '@jest/globals';
import { prepareTflite } from '../../../agent/quantize/tflite/prepare/prepare.ts';
import { quantizeStatic } from '../../../agent/quantize/tflite/static.ts';
import { floats, sqnr } from '../support.ts';
import { GraphBuilder } from './graphs.ts';
import { INT16, observe, opsOf, run } from './support.ts';

const SHAPE = [1, 4, 4, 4];
const SLOPES = [0.25, -0.5, 1.5, 0];

/** conv -> prelu -> conv */
function around(place: (g: GraphBuilder, x: number) => number) {
  const g = new GraphBuilder(31);
  const x = g.conv('before', g.input('x', SHAPE), 4);
  return { g, model: g.model([g.conv('after', place(g, x), 4)]) };
}

const NONE = { fusedActivationFunction: 'NONE' } as const;

/** As converters take it apart: relu(x) + slopes * -relu(-x). */
function inParts(g: GraphBuilder, x: number): number {
  const slopes = g.floats('slopes', SLOPES);
  const minus = g.unary('NEG', 'minus', x);
  const below = g.unary('NEG', 'below', g.unary('RELU', 'above_minus', minus));
  const scaled = g.make('MUL', 'scaled', [slopes, below], SHAPE, { kind: 'MulOptions', ...NONE });
  const options = { kind: 'AddOptions', ...NONE, potScaleInt16: true } as const;
  return g.make('ADD', 'mid', [g.unary('RELU', 'above', x), scaled], SHAPE, options);
}

const whole = (g: GraphBuilder, x: number) =>
  g.make('PRELU', 'mid', [x, g.floats('slopes', SLOPES, [1, 1, 4])], SHAPE);

test.each([
  ['a PRELU', whole],
  ['one that a converter took apart', inParts],
] as const)('%s runs in 16 bits, in parts', async (_, place) => {
  const { g, model: stored } = around(place);
  const model = prepareTflite(stored);
  const [feeds, ...others] = g.samples(4);
  const seen = await observe(model, [feeds!, ...others]);
  const { model: made, ops } = quantizeStatic(model, seen, INT16);
  expect(ops.map(({ precision }) => precision)).toEqual(['integer', 'integer', 'integer']);
  expect(opsOf(made)).toEqual([
    'QUANTIZE',
    'CONV_2D',
    'RELU',
    'SUB',
    'MUL',
    'ADD',
    'CONV_2D',
    'DEQUANTIZE',
  ]);
  const [reference, outputs] = [await run(model, feeds!), await run(made, feeds!)];
  // 8-bit weights alone leave about 40 dB.
  expect(sqnr(floats(reference['after']!.data), floats(outputs['after']!.data))).toBeGreaterThan(
    38,
  );
});

test('one that is to stay float is not taken apart', async () => {
  const { g, model } = around(whole);
  const seen = await observe(model, g.samples(1));
  const { model: made } = quantizeStatic(model, seen, { ...INT16, excluded: ['mid'] });
  expect(opsOf(made)).toContain('PRELU');
});
