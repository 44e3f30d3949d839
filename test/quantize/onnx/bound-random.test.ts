import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { Scheme } from '../../../agent/contracts/scheme.ts';
import { exposeTensors } from '../../../agent/model/onnx/expose.ts';
import type { TensorProto } from '../../../agent/model/onnx/generated/messages.ts';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import { withGraph } from '../../../agent/model/onnx/open.ts';
import type { OnnxModel } from '../../../agent/model/onnx/open.ts';
import {
  DataType,
  floatTensor,
  makeTensor,
  tensorNumbers,
} from '../../../agent/model/onnx/tensor.ts';
import { quantizeDynamic } from '../../../agent/quantize/onnx/dynamic.ts';
import { exposeConstants, simplify } from '../../../agent/quantize/onnx/prepare/prepare.ts';
import { quantizeStatic } from '../../../agent/quantize/onnx/static.ts';
import type { Feeds, Outputs } from '../../../agent/runtime/types.ts';
import { tinyModel } from '../../support/onnx-models.ts';
import { DYNAMIC, STATIC, floats, observe, randomTensor, randoms, runAll } from '../support.ts';
import { errorBounds } from './error-bound.ts';
import type { Range } from './error-bound.ts';
import { branches, buildBranches, describeGraph } from './random-branches.ts';
import type { Branches } from './random-branches.ts';
import { SATURATES } from './reference.ts';

/*
 * Small random networks with branches, quantized in every way: the file loads, runs, and differs from
 * float by no more than its own scales allow (error-bound.ts).
 */

/** Float arithmetic itself, relative to what a tensor holds. */
const FLOAT_SLACK = 1e-4;

/** Samples, and the float model's answers to them. */
async function floatRun(plan: Branches) {
  const float = buildBranches(plan);
  const next = randoms(plan.seed + 1);
  const shape = [1, plan.channels, plan.size, plan.size];
  const samples: Feeds[] = [1, 2].map(() => ({ x: randomTensor(next, shape, 2) }));
  const prepared = simplify(exposeConstants(float));
  const outputs = await runAll(float, samples);
  return { float, prepared, samples, outputs, ranges: await rangesOf(prepared, samples) };
}

async function rangesOf(model: OnnxModel, samples: readonly Feeds[]) {
  const names = model.graph.node.flatMap(({ output }) => output);
  const runs: (Feeds | Outputs)[] = [
    ...(await runAll(exposeTensors(model, new Set(names)), samples, 'disabled')),
    ...samples,
  ];
  const ranges = new Map<string, Range>();
  for (const run of runs) {
    for (const [name, { data }] of Object.entries(run)) {
      const { min = Infinity, max = -Infinity } = ranges.get(name) ?? {};
      const values = floats(data);
      ranges.set(name, { min: Math.min(min, ...values), max: Math.max(max, ...values) });
    }
  }
  return ranges;
}

/** Runs the quantized model as it is written and as it is optimized, and compares both. */
async function expectWithinBound(
  { float, samples, outputs, ranges }: Awaited<ReturnType<typeof floatRun>>,
  quantized: OnnxModel,
): Promise<void> {
  for (const [optimization, steps] of [
    ['disabled', 0.5],
    ['all', 1],
  ] as const) {
    const bounds = errorBounds(quantized, { ranges, steps });
    // oxlint-disable-next-line no-await-in-loop -- one run after the other
    const runs = await runAll(quantized, samples, optimization);
    runs.forEach((run, i) => {
      for (const [name, { shape, data }] of Object.entries(outputs[i]!)) {
        expect(run[name]?.shape).toEqual(shape);
        const reference = floats(data);
        const other = floats(run[name]?.data);
        const worst = reference.reduce((most, v, j) => Math.max(most, Math.abs(v - other[j]!)), 0);
        const scale = reference.reduce((most, v) => Math.max(most, Math.abs(v)), 1);
        const bound = bounds.get(name)! + FLOAT_SLACK * scale;
        if (worst <= bound) continue;
        const where = `${name} (optimization ${optimization})`;
        throw new Error(
          `${where} is off by ${worst}, its scales allow ${bound}\nfloat:\n${describeGraph(float)}\nquantized:\n${describeGraph(quantized)}`,
        );
      }
    });
  }
}

const staticSchemes: fc.Arbitrary<Scheme> = fc.record({
  ...Object.fromEntries(Object.entries(STATIC).map(([key, value]) => [key, fc.constant(value)])),
  activations: fc.constantFrom('u8', 's8'),
  perChannel: fc.boolean(),
  reduceRange: SATURATES ? fc.constant(true) : fc.boolean(),
}) as fc.Arbitrary<Scheme>;

const RUNS = { seed: 31, numRuns: 60, interruptAfterTimeLimit: 25_000, endOnFailure: false };

test('static files stay within the bound of their scales', async () => {
  await fc.assert(
    fc.asyncProperty(branches, staticSchemes, async (plan, scheme) => {
      const run = await floatRun(plan);
      const statistics = await observe(run.prepared, run.samples);
      const { model } = quantizeStatic(run.prepared, statistics, scheme);
      await expectWithinBound(run, model);
    }),
    RUNS,
  );
}, 60_000);

test('dynamic files stay within the bound of their scales', async () => {
  const products = branches.map((plan) => ({
    ...plan,
    links: [...plan.links, { op: 'MatMul', from: 0, other: 0 }],
  }));
  await fc.assert(
    fc.asyncProperty(products, fc.boolean(), async (plan, perChannel) => {
      const run = await floatRun(plan);
      const scheme = { ...DYNAMIC, perChannel, reduceRange: SATURATES };
      await expectWithinBound(run, quantizeDynamic(run.prepared, scheme).model);
    }),
    { ...RUNS, numRuns: 40 },
  );
}, 60_000);

test('weights that are off by more than their scales say are noticed', async () => {
  const plan = { seed: 1, opset: 17, channels: 2, size: 4, links: [] };
  const run = await floatRun(plan);
  const { model } = quantizeStatic(run.prepared, await observe(run.prepared, run.samples), STATIC);
  await expectWithinBound(run, model);
  const initializer = model.graph.initializer.map((tensor) =>
    tensor.dataType === DataType.INT8 && tensor.dims.length === 4 ? negated(tensor) : tensor,
  );
  const tampered = withGraph(model, { ...model.graph, initializer });
  await expect(expectWithinBound(run, tampered)).rejects.toThrow('its scales allow');
});

function negated({ name = '', dims, ...tensor }: TensorProto): TensorProto {
  const values = Int8Array.from(tensorNumbers({ ...tensor, dims }), (value) => -value);
  return makeTensor(name, DataType.INT8, dims, values);
}

test('the bound itself, by hand', () => {
  const model = tinyModel({
    inputs: { x: [1, [1, 2]] },
    outputs: { y: [1], z: [1] },
    initializers: [
      floatTensor('sx', 0.1),
      makeTensor('zx', DataType.UINT8, [], Uint8Array.of(0)),
      makeTensor('w', DataType.INT8, [2, 1], Int8Array.of(10, -20)),
      floatTensor('sw', 0.05),
      makeTensor('zw', DataType.INT8, [], Int8Array.of(0)),
    ],
    nodes: [
      makeNode('QuantizeLinear', ['x', 'sx', 'zx'], ['q']),
      makeNode('DequantizeLinear', ['q', 'sx', 'zx'], ['d']),
      makeNode('DequantizeLinear', ['w', 'sw', 'zw'], ['v']),
      makeNode('MatMul', ['d', 'v'], ['y']),
      makeNode('Sigmoid', ['y'], ['z']),
    ],
  });
  const bounds = errorBounds(model, { ranges: new Map([['x', { min: 0, max: 2 }]]), steps: 0.5 });
  // Half a step of x (0.05) times |0.5| + |-1|; two weights, each off by 0.025 of up to 2, and the same
  // again for the bias.
  expect(bounds.get('y')).toBeCloseTo(0.05 * 1.5 + 2 * 2 * 0.025 * 2, 6);
  expect(bounds.get('z')).toBeCloseTo(bounds.get('y')! / 4, 12);
});
