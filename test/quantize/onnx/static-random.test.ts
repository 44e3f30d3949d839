import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { exposeConstants, simplify } from '../../../agent/quantize/onnx/prepare/prepare.ts';
import { quantizeDynamic } from '../../../agent/quantize/onnx/dynamic.ts';
import { quantizeStatic } from '../../../agent/quantize/onnx/static.ts';
import { modelBytes } from '../../support/onnx-models.ts';
import {
  DYNAMIC,
  STATIC,
  floats,
  observe,
  randomTensor,
  randoms,
  runAll,
  sqnr,
} from '../support.ts';
import { RandomNet, plans } from './random-graphs.ts';
import { SATURATES } from './reference.ts';

/*
 * Small random networks with shared tensors and several outputs. What quantization may cost is
 * stated loosely: 15 dB, for signals that are not all but constant.
 */

const RUNS = { seed: 20, numRuns: 60, endOnFailure: false };
const QUIET = 1e-3;

test('random networks keep their interface and their values', async () => {
  await fc.assert(
    fc.asyncProperty(plans, fc.boolean(), async (plan, perChannel) => {
      const float = new RandomNet(plan).build();
      const next = randoms(plan.seed + 1);
      const samples = [1, 2, 3].map(() => ({ x: randomTensor(next, plan.shape, 2) }));
      const bytes = modelBytes(float);
      const prepared = simplify(exposeConstants(float));
      const statistics = await observe(prepared, samples);
      const preparedBytes = modelBytes(prepared);
      const scheme = { ...STATIC, perChannel, reduceRange: SATURATES };
      const { model } = quantizeStatic(prepared, statistics, scheme);
      expect(modelBytes(float)).toEqual(bytes);
      expect(modelBytes(prepared)).toEqual(preparedBytes);
      const before = await runAll(float, samples);
      const same = await runAll(prepared, samples);
      const after = await runAll(model, samples);
      before.forEach((outputs, i) => {
        expect(Object.keys(after[i]!)).toEqual(Object.keys(outputs));
        for (const [name, { dtype, shape, data }] of Object.entries(outputs)) {
          expect(after[i]![name]).toMatchObject({ dtype, shape });
          const reference = floats(data);
          expect(sqnr(reference, floats(same[i]![name]!.data))).toBeGreaterThan(80);
          const power = reference.reduce((sum, value) => sum + value ** 2, 0) / reference.length;
          const signal = sqnr(reference, floats(after[i]![name]!.data));
          expect(power < QUIET ? Infinity : signal).toBeGreaterThan(15);
        }
      });
    }),
    RUNS,
  );
}, 60_000);

test('random networks with matrix products survive dynamic quantization', async () => {
  const products = plans.map((plan) => ({
    ...plan,
    steps: [...plan.steps, { op: 'Gemm', from: 0, other: 0, channels: 4, shown: true }],
  }));
  await fc.assert(
    fc.asyncProperty(products, async (plan) => {
      const float = new RandomNet(plan).build();
      const samples = [{ x: randomTensor(randoms(plan.seed), plan.shape, 2) }];
      const prepared = simplify(exposeConstants(float));
      fc.pre(prepared.graph.node.some(({ opType }) => opType === 'Gemm'));
      const { model } = quantizeDynamic(prepared, { ...DYNAMIC, reduceRange: SATURATES });
      const [before] = await runAll(float, samples);
      const [after] = await runAll(model, samples);
      for (const [name, { shape, data }] of Object.entries(before!)) {
        expect(after![name]?.shape).toEqual(shape);
        expect(sqnr(floats(data), floats(after![name]!.data))).toBeGreaterThan(20);
      }
    }),
    { ...RUNS, numRuns: 30 },
  );
}, 60_000);
