import { expect, test } from '@jest/globals';
import { quantizeStatic } from '../../../agent/quantize/tflite/static.ts';
import { floats, sqnr } from '../support.ts';
import { GraphBuilder } from './graphs.ts';
import { expectSpecified } from './specification.ts';
import { STATIC, observe, opsOf, run } from './support.ts';

const SHAPE = [1, 4, 4, 4];

/** conv -> the operator -> conv */
function around(place: (g: GraphBuilder, x: number) => number) {
  const g = new GraphBuilder(31);
  const x = g.conv('before', g.input('x', SHAPE), 4);
  return { g, model: g.model([g.conv('after', place(g, x), 4)]) };
}

const OPS = {
  NEG: (g: GraphBuilder, x: number) => g.unary('NEG', 'mid', x),
  SQUARE: (g: GraphBuilder, x: number) =>
    g.make('SQUARE', 'mid', [x], SHAPE, { kind: 'SquareOptions' }),
  DIV: (g: GraphBuilder, x: number) =>
    g.make('DIV', 'mid', [x, g.floats('by', [2, 4, -0.5, 8])], SHAPE, {
      kind: 'DivOptions',
      fusedActivationFunction: 'RELU',
    }),
} as const;

test.each(['NEG', 'SQUARE', 'DIV'] as const)('%s runs as a MUL', async (op) => {
  const { g, model } = around(OPS[op]);
  const [feeds] = g.samples(1);
  const { model: made, ops } = quantizeStatic(model, await observe(model, [feeds!]), STATIC);
  expectSpecified(made);
  expect(opsOf(made)).toEqual(['QUANTIZE', 'CONV_2D', 'MUL', 'CONV_2D', 'DEQUANTIZE']);
  expect(ops[1]).toEqual({ node: 'mid', op, precision: 'integer' });
  const [reference, outputs] = [await run(model, feeds!), await run(made, feeds!)];
  expect(sqnr(floats(reference['after']!.data), floats(outputs['after']!.data))).toBeGreaterThan(
    30,
  );
});

test.each([
  ['excluded', OPS.NEG, { excluded: ['mid'] }],
  [
    'a division by zero',
    (g: GraphBuilder, x: number) =>
      g.make('DIV', 'mid', [x, g.floats('by', [2, 0, 1, 1])], SHAPE, {
        kind: 'DivOptions',
        fusedActivationFunction: 'NONE',
      }),
    {},
  ],
] as const)('%s stays as it is', async (_, place, deviation) => {
  const { g, model } = around(place);
  const seen = await observe(model, g.samples(1));
  const { ops } = quantizeStatic(model, seen, { ...STATIC, ...deviation });
  expect(ops[1]!.precision).toBe('float');
});
