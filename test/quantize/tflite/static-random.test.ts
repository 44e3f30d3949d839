import * as fc from 'fast-check';
import { expect, test } from '@jest/globals';
import { QuantizeError } from '../../../agent/quantize/errors.ts';
import { quantizeStatic } from '../../../agent/quantize/tflite/static.ts';
import type { TfliteModel } from '../../../agent/model/tflite/types.ts';
import { floats, sqnr } from '../support.ts';
import { GraphBuilder } from './graphs.ts';
import { expectSpecified } from './specification.ts';
import { STATIC, observe, runAll } from './support.ts';

/** One step: which operator, and which of the tensors before it it reads. */
interface Step {
  readonly op: (typeof OPS)[number];
  readonly a: number;
  readonly b: number;
}

const OPS = [
  'conv',
  'conv-relu6',
  'depthwise',
  'dense',
  'add',
  'mul',
  'mul-constant',
  'neg',
  'relu',
  'logistic',
  'tanh',
  'softmax',
  'concat',
  'average',
  'max',
] as const;

const step = fc.record({ op: fc.constantFrom(...OPS), a: fc.nat(20), b: fc.nat(20) });
const graphs = fc.record({
  seed: fc.nat(1000),
  steps: fc.array(step, { minLength: 1, maxLength: 8 }),
  outputs: fc.array(fc.nat(20), { minLength: 1, maxLength: 3 }),
});

const CHANNELS = 4;

/** Every tensor is [1, 4, 4, CHANNELS]. */
function build(seed: number, steps: readonly Step[]): { builder: GraphBuilder; made: number[] } {
  const builder = new GraphBuilder(seed);
  const made = [builder.input('x', [1, 4, 4, CHANNELS])];
  steps.forEach(({ op, a, b }, i) => {
    const [left, right] = [made[a % made.length]!, made[b % made.length]!];
    made.push(PLACES[op](builder, `t${i}`, left, right));
  });
  return { builder, made };
}

type Place = (g: GraphBuilder, name: string, a: number, b: number) => number;

const PLACES: Readonly<Record<Step['op'], Place>> = {
  conv: (g, name, a) => g.conv(name, a, CHANNELS),
  'conv-relu6': (g, name, a) => g.conv(name, a, CHANNELS, { activation: 'RELU6', size: 1 }),
  depthwise: (g, name, a) => g.depthwise(name, a, 'RELU'),
  dense: (g, name, a) => g.dense(name, a, CHANNELS, { keep: true }),
  add: (g, name, a, b) => g.sum(name, a, b),
  mul: (g, name, a, b) => g.times(name, a, b),
  'mul-constant': (g, name, a) => g.times(name, a, g.random(`${name}/c`, [CHANNELS])),
  neg: (g, name, a) => g.unary('NEG', name, a),
  relu: (g, name, a) => g.unary('RELU', name, a),
  logistic: (g, name, a) => g.unary('LOGISTIC', name, a),
  tanh: (g, name, a) => g.unary('TANH', name, a),
  softmax: (g, name, a) => g.softmax(name, a),
  concat: (g, name, a, b) => g.conv(`${name}/mix`, g.concat(name, [a, b]), CHANNELS, { size: 1 }),
  average: (g, name, a) => g.pool('AVERAGE_POOL_2D', name, a),
  max: (g, name, a) => g.pool('MAX_POOL_2D', name, a),
};

function refusedAsNothing(make: () => TfliteModel): TfliteModel | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof QuantizeError && error.code === 'NOTHING_TO_QUANTIZE') return undefined;
    throw error;
  }
}

test.each([
  ['where it pays', STATIC],
  ['integers only', { ...STATIC, integerOnly: true }],
  ['integers only, uint8 outside', { ...STATIC, integerOnly: true, io: 'uint8' }],
  ['per tensor', { ...STATIC, perChannel: false }],
] as const)(
  'random graphs keep to the specification and to their values: %s',
  async (_, scheme) => {
    await fc.assert(
      fc.asyncProperty(graphs, async ({ seed, steps, outputs }) => {
        const { builder, made } = build(seed, steps);
        // No tensor twice, and the input itself is no output.
        const chosen = new Set(outputs.map((at) => made[1 + (at % (made.length - 1))]!));
        // With operators whose outputs nobody reads, which XNNPACK of 2.9 must not see.
        const model = builder.model([...chosen]);
        const samples = builder.samples(3);
        const statistics = await observe(model, samples);
        const quantized = refusedAsNothing(() => quantizeStatic(model, statistics, scheme).model);
        if (quantized === undefined) return;
        expectSpecified(quantized);
        const reference = await runAll(model, samples);
        const run = await runAll(quantized, samples);
        for (const name of Object.keys(reference[0]!)) {
          const [a, b] = [reference, run].map((all) =>
            all.flatMap((one) => [...floats(one[name]!.data)]),
          );
          expect(sqnr(Float32Array.from(a!), Float32Array.from(b!))).toBeGreaterThan(12);
        }
      }),
      { numRuns: 60 },
    );
  },
  120_000,
);
