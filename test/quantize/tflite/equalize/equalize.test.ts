import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { collectChannelRanges } from '../../../../agent/calibration/channel-ranges.ts';
import { exposeTensors } from '../../../../agent/model/tflite/expose.ts';
import type { TfliteModel } from '../../../../agent/model/tflite/types.ts';
import type { FactorOptions } from '../../../../agent/quantize/equalize/factors.ts';
import {
  equalize,
  tensorsToEqualize,
} from '../../../../agent/quantize/tflite/equalize/equalize.ts';
import { quantizeStatic } from '../../../../agent/quantize/tflite/static.ts';
import type { Feeds } from '../../../../agent/runtime/types.ts';
import { floats, relativeError, sqnr } from '../../support.ts';
import { GraphBuilder } from '../graphs.ts';
import { channelsOf, prelu, unevenNet } from '../uneven.ts';
import { STATIC, observe, runAll, withSession } from '../support.ts';

async function* each(samples: readonly Feeds[]) {
  yield* samples;
}

async function equalized(
  model: TfliteModel,
  samples: readonly Feeds[],
  options: FactorOptions = {},
) {
  const targets = tensorsToEqualize(model);
  const exposed = exposeTensors(
    model,
    targets.map(({ name }) => name),
  );
  const ranges = await withSession(exposed, 'plain', (session) =>
    collectChannelRanges(session, each(samples), { targets, most: samples.length }),
  );
  return equalize(model, ranges, options);
}

const SHAPE = [1, 6, 6, 3];
const NONE = { fusedActivationFunction: 'NONE' } as const;
type Place = (g: GraphBuilder, x: number, name: string) => number;

function transposeConv(g: GraphBuilder, x: number, name: string) {
  const [batch = 1, height = 1, width = 1, channels = 1] = g.shape(x);
  const shape = [batch, height, width, 4];
  const inputs = [
    g.ints(`${name}/shape`, shape),
    g.random(`${name}/w`, [4, 3, 3, channels], 0.5),
    x,
    g.random(`${name}/b`, [4]),
  ];
  return g.make('TRANSPOSE_CONV', name, inputs, shape, {
    kind: 'TransposeConvOptions',
    padding: 'SAME',
    strideW: 1,
    strideH: 1,
    quantizedBiasType: 'FLOAT32',
    ...NONE,
  });
}

const PLACES = {
  conv: (g, x, name) => g.conv(name, x, 4, { size: 1 }),
  convRelu: (g, x, name) => g.conv(name, x, 6, { activation: 'RELU' }),
  /** Its bounds do not move along: what is behind it keeps the factor 1. */
  convRelu6: (g, x, name) => g.conv(name, x, 4, { activation: 'RELU6' }),
  depthwise: (g, x, name) => g.depthwise(name, x, 'RELU'),
  transposeConv: (g, x, name) => transposeConv(g, x, name),
  prelu,
  pool: (g, x, name) => g.pool('MAX_POOL_2D', name, x),
  mean: (g, x, name) => g.pool('AVERAGE_POOL_2D', name, x),
  residual: (g, x, name) => g.sum(name, x, g.conv(`${name}/side`, x, channelsOf(g, x))),
  join: (g, x, name) => g.concat(name, [x, g.conv(`${name}/side`, x, 2)]),
  shift: (g, x, name) => g.sum(name, x, g.random(`${name}/by`, [channelsOf(g, x)])),
  gate: (g, x, name) => g.times(name, x, g.unary('LOGISTIC', `${name}/gate`, x)),
  rows: (g, x, name) => {
    const rows = g.reshape(`${name}/rows`, x, [36, channelsOf(g, x)]);
    return g.reshape(name, g.dense(`${name}/dense`, rows, 4), [1, 6, 6, 4]);
  },
} satisfies Record<string, Place>;

function chainOf(seed: number, steps: readonly (keyof typeof PLACES)[]) {
  const g = new GraphBuilder(seed);
  let x = g.conv('first', g.input('x', SHAPE), 4);
  steps.forEach((step, k) => (x = PLACES[step](g, x, `${step}${k}`)));
  const last = g.conv('last', x, 2);
  const flat = g.reshape('flat', last, [1, 72]);
  return { g, model: g.model([g.dense('y', flat, 5)]) };
}

const names = Object.keys(PLACES) as (keyof typeof PLACES)[];
const plans = fc.record({
  seed: fc.nat(),
  steps: fc.array(fc.constantFrom(...names), { minLength: 2, maxLength: 7 }),
  strength: fc.constantFrom(0.25, 0.5, 1),
});

test('equalized random networks compute the same function', async () => {
  let scaled = 0;
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(plans, async ({ seed, steps, strength }) => {
      const { g, model } = chainOf(seed, steps);
      const samples = g.samples(2);
      const made = await equalized(model, samples, { strength, headroom: 1 });
      scaled += made.groups.length;
      for (const { outputs } of made.groups)
        outputs.forEach((name) => seen.add(name.replace(/\d+.*/, '')));
      const [before, after] = [await runAll(model, samples), await runAll(made.model, samples)];
      before.forEach((outputs, i) => {
        const error = relativeError(floats(outputs['y']!.data), floats(after[i]!['y']!.data));
        expect(error).toBeLessThan(1e-4);
      });
    }),
    { seed: 7, numRuns: 60, endOnFailure: false },
  );
  expect(scaled).toBeGreaterThan(100);
  for (const op of ['conv', 'convRelu', 'depthwise', 'last']) {
    expect(seen).toContain(op);
  }
}, 60_000);

test('int8-only of depthwise layers and PRELU with uneven channels', async () => {
  const { model, samples } = unevenNet(8);
  const reference = await runAll(model, samples);
  const scheme = { ...STATIC, integerOnly: true, io: 'float32' } as const;
  const quality = async (float: TfliteModel) => {
    const made = quantizeStatic(float, await observe(float, samples), scheme);
    const outputs = await runAll(made.model, samples);
    const all = (runs: typeof outputs) =>
      Float32Array.from(runs.flatMap((one) => [...floats(one['y']!.data)]));
    return sqnr(all(reference), all(outputs));
  };
  const plain = await quality(model);
  const better = await quality((await equalized(model, samples)).model);
  expect(better).toBeGreaterThan(plain + 3);
});

test('matrix products, which have one scale for all weights, keep theirs', async () => {
  const g = new GraphBuilder(9);
  const x = g.dense('a', g.input('x', [2, 32]), 32, { activation: 'RELU' });
  const model = g.model([g.dense('y', x, 8)]);
  expect(tensorsToEqualize(model)).toEqual([]);
  expect((await equalized(model, g.samples(2), { strength: 1 })).model).toBe(model);
});
