import { expect, test } from '@jest/globals';
import { recompose } from '../../../agent/quantize/tflite/prepare/recompose.ts';
import { prepareTflite } from '../../../agent/quantize/tflite/prepare/prepare.ts';
import { tensorNumbers } from '../../../agent/model/tflite/tensor.ts';
import { floats, sqnr } from '../support.ts';
import { GraphBuilder } from './graphs.ts';
import { listing, tensorNamed } from './layers.ts';
import { run } from './support.ts';

const SHAPE = [1, 5, 4, 3];
type Place = (g: GraphBuilder, x: number) => number;

const difference = (g: GraphBuilder, name: string, a: number, b: number) =>
  g.make('SUB', name, [a, b], g.shape(a), {
    kind: 'SubOptions',
    fusedActivationFunction: 'NONE',
    potScaleInt16: true,
  });
const quotient = (g: GraphBuilder, name: string, a: number, b: number) =>
  g.make('DIV', name, [a, b], g.shape(a), { kind: 'DivOptions', fusedActivationFunction: 'NONE' });
const absolute = (g: GraphBuilder, x: number) =>
  g.make('ABS', 'size', [x], SHAPE, { kind: 'AbsOptions' });
const slopes = (g: GraphBuilder, shape = [3]) => g.floats('slopes', [0.25, -0.5, 0.125], shape);
/** relu(-x) = -min(x, 0) */
const mirrored: Place = (g, x) => g.unary('RELU', 'mirrored', g.unary('NEG', 'minus', x));
const positive: Place = (g, x) => g.unary('RELU', 'positive', x);

/** Whatever they say, what is below zero is multiplied with these. */
const PRELUS: Readonly<Record<string, readonly [Place, readonly number[]]>> = {
  'relu(x) + c * -relu(-x)': [
    (g, x) =>
      g.sum(
        'y',
        positive(g, x),
        // The constant comes first.
        g.make('MUL', 'part', [slopes(g), g.unary('NEG', 'below', mirrored(g, x))], SHAPE, {
          kind: 'MulOptions',
          fusedActivationFunction: 'NONE',
        }),
      ),
    [0.25, -0.5, 0.125],
  ],
  'relu(-x) * c + relu(x)': [
    (g, x) => g.sum('y', g.times('part', mirrored(g, x), slopes(g, [1, 1, 3])), positive(g, x)),
    [-0.25, 0.5, -0.125],
  ],
  'relu(x) - c * relu(-x)': [
    (g, x) => difference(g, 'y', positive(g, x), g.times('part', mirrored(g, x), slopes(g))),
    [0.25, -0.5, 0.125],
  ],
  'relu(x) + (x - |x|) * c * 0.5': [
    (g, x) => {
      const twice = difference(g, 'twice', x, absolute(g, x));
      const part = g.times('part', twice, slopes(g));
      return g.sum('y', positive(g, x), g.times('half', part, g.floats('0.5', [0.5], [])));
    },
    [0.25, -0.5, 0.125],
  ],
  'relu(x) + min(x, 0) * c': [
    (g, x) => {
      const options = { kind: 'MaximumMinimumOptions' } as const;
      const below = g.make('MINIMUM', 'below', [x, g.floats('0', [0])], SHAPE, options);
      return g.sum('y', positive(g, x), g.times('part', below, slopes(g)));
    },
    [0.25, -0.5, 0.125],
  ],
};

test.each(Object.entries(PRELUS))('%s is a PRELU', async (_, [place, alpha]) => {
  const g = new GraphBuilder(3);
  const model = g.model([place(g, g.input('x', SHAPE))]);
  const prepared = prepareTflite(model);
  expect(listing(prepared)).toEqual(['PRELU.1(x, y_alpha) -> y']);
  expect(tensorNumbers(tensorNamed(prepared, 'y_alpha'))).toEqual(alpha);
  const [feeds] = g.samples(1);
  const [before, after] = [await run(model, feeds!), await run(prepared, feeds!)];
  expect(sqnr(floats(before['y']!.data), floats(after['y']!.data))).toBeGreaterThan(120);
});

const reduced = (g: GraphBuilder, op: 'SUM' | 'REDUCE_MAX', x: number, axis: number) =>
  g.make(op, op.toLowerCase(), [x, g.ints(`axis of ${op}`, [axis], [])], SHAPE.with(axis, 1), {
    kind: 'ReducerOptions',
    keepDims: true,
  });
const power = (g: GraphBuilder, x: number) =>
  g.make('EXP', 'power', [x], SHAPE, { kind: 'ExpOptions' });
const shifted = (g: GraphBuilder, x: number, axis: number) =>
  difference(g, 'shifted', x, reduced(g, 'REDUCE_MAX', x, axis));

test.each<readonly [string, Place]>([
  [
    'exp(x - max(x)) / sum(exp(x - max(x)))',
    (g, x) => {
      const e = power(g, shifted(g, x, 3));
      return quotient(g, 'y', e, reduced(g, 'SUM', e, 3));
    },
  ],
  [
    'exp(x) / sum(exp(x))',
    (g, x) => quotient(g, 'y', power(g, x), reduced(g, 'SUM', g.tensors.length - 1, 3)),
  ],
])('%s is a SOFTMAX', async (_, place) => {
  const g = new GraphBuilder(4);
  const model = g.model([place(g, g.input('x', SHAPE))]);
  const prepared = prepareTflite(model);
  expect(listing(prepared)).toEqual(['SOFTMAX.1(x) -> y']);
  const [feeds] = g.samples(1);
  const [before, after] = [await run(model, feeds!), await run(prepared, feeds!)];
  expect(sqnr(floats(before['y']!.data), floats(after['y']!.data))).toBeGreaterThan(100);
});

test.each<readonly [string, Place]>([
  ['another x', (g, x) => g.sum('y', positive(g, x), mirrored(g, g.input('z', SHAPE)))],
  ['|x| alone', (g, x) => g.sum('y', positive(g, x), absolute(g, x))],
  [
    'a slope for each place',
    (g, x) => g.sum('y', positive(g, x), g.times('part', mirrored(g, x), g.random('c', SHAPE))),
  ],
  [
    'an activation behind the sum',
    (g, x) => g.sum('y', positive(g, x), g.times('part', mirrored(g, x), slopes(g)), 'RELU6'),
  ],
  [
    'a softmax along another axis',
    (g, x) => {
      const e = power(g, shifted(g, x, 1));
      return quotient(g, 'y', e, reduced(g, 'SUM', e, 1));
    },
  ],
])('%s: left as it is', (_, place) => {
  const g = new GraphBuilder(5);
  const [graph] = g.model([place(g, g.input('x', SHAPE))]).subgraphs;
  expect(recompose(graph!)).toBe(graph);
});

test('what else is read in between is still made', () => {
  const g = new GraphBuilder(6);
  const x = g.input('x', SHAPE);
  const y = difference(g, 'y', positive(g, x), g.times('part', mirrored(g, x), slopes(g)));
  const prepared = prepareTflite(g.model([y, g.tensors.findIndex(({ name }) => name === 'minus')]));
  expect(listing(prepared)).toEqual(['NEG.1(x) -> minus', 'PRELU.1(x, y_alpha) -> y']);
});
