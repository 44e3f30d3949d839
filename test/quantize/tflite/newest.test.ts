import { statSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { schemePresets } from '../../../agent/contracts/scheme.ts';
import type { Scheme } from '../../../agent/contracts/scheme.ts';
import type { Statistics } from '../../../agent/model/statistics.ts';
import type { TfliteModel } from '../../../agent/model/tflite/types.ts';
import { quantizeDynamic } from '../../../agent/quantize/tflite/dynamic.ts';
import { toFp16 } from '../../../agent/quantize/tflite/fp16.ts';
import { OP_TABLE } from '../../../agent/quantize/tflite/op-table.ts';
import { prepareTflite } from '../../../agent/quantize/tflite/prepare/prepare.ts';
import { quantizeStatic } from '../../../agent/quantize/tflite/static.ts';
import { quantizeWeights } from '../../../agent/quantize/tflite/weight-only.ts';
import type { Feeds, Outputs } from '../../../agent/runtime/types.ts';
import { corpusTflite, describeWithCorpus } from '../../support/corpus.ts';
import { runNewest } from '../../support/litert.ts';
import { sqnr } from '../support.ts';
import { made, openModel, sampleFor } from './any-model.ts';
import { SINGLE_OPS, singleOpFeeds, singleOpModel } from './single-ops.ts';
import type { SingleOp } from './single-ops.ts';
import { INT16, STATIC, observe, run, runAll } from './support.ts';

/*
 * What is written loads in the newest runtime at hand and computes there what it computes in the
 * library that comes with the program.
 */

const INTEGERS: Scheme = { ...STATIC, integerOnly: true };

/** LiteRT gives back nothing for an output that is known before the run, also of a float model. */
const KNOWN_BEFORE: readonly string[] = ['SHAPE', 'RANK'];

/** The scale of each output, 0 where it is no quantized number. */
function stepsOf({ subgraphs: [graph] }: TfliteModel): number[] {
  return graph!.outputs.map((at) => graph!.tensors[at]!.quantization?.scale[0] ?? 0);
}

/** The largest difference of each output, in steps of its scale. */
function stepsApart(model: TfliteModel, old: Outputs, newest: Outputs): number[] {
  expect(Object.keys(newest)).toEqual(Object.keys(old));
  return Object.keys(old).map((name, i) => {
    const [a, b] = [old[name]!, newest[name]!];
    expect([name, b.shape, b.data.length]).toEqual([name, a.shape, a.data.length]);
    const [from, to] = [Array.from(a.data, Number), Array.from(b.data, Number)];
    const errors = from.map((one, at) => Math.abs(one - to[at]!));
    return Math.max(...errors) / (stepsOf(model)[i]! || 1);
  });
}

async function integersOf(one: SingleOp, scheme: Scheme): Promise<TfliteModel> {
  const model = singleOpModel(one);
  const statistics = await observe(model, [singleOpFeeds(one)]);
  return quantizeStatic(model, statistics, { ...scheme, integerOnly: true }).model;
}

describe.each([
  ['int8', STATIC, () => true],
  ['int16 activations', INT16, ({ op }: SingleOp) => OP_TABLE.get(op)!.int16],
] as const)('%s', (_, scheme, has) => {
  const rows = SINGLE_OPS.filter((one) => has(one) && !KNOWN_BEFORE.includes(one.op)).map(
    (one) => [one.op, one] as const,
  );

  test.each(rows)('%s', async (__, one) => {
    const model = await integersOf(one, scheme);
    const feeds = singleOpFeeds(one);
    const [newest] = await runNewest(model, [feeds]);
    const old = await run(model, feeds, scheme === INT16 ? 'plain' : 'xnnpack');
    // XNNPACK rounds a product once, where TFLite's own kernels round twice.
    for (const steps of stepsApart(model, old, newest!)) expect(steps).toBeLessThanOrEqual(1.001);
  });
});

type Make = (model: TfliteModel, ranges: Statistics) => TfliteModel;

const SCHEMES: readonly (readonly [string, Make])[] = [
  ['int8-static', (model, ranges) => quantizeStatic(model, ranges, STATIC).model],
  ['int8-only', (model, ranges) => quantizeStatic(model, ranges, INTEGERS).model],
  ['int16x8', (model, ranges) => quantizeStatic(model, ranges, INT16).model],
  ['int8-dynamic', (model) => quantizeDynamic(model, schemePresets['int8-dynamic']).model],
  ['weight-int8', (model) => quantizeWeights(model, schemePresets['weight-int8']).model],
  ['fp16', (model) => toFp16(model, schemePresets.fp16).model],
];

const MAX_BYTES = 150_000;
// Without a corpus there is a placeholder, which is no file.
const isSmall = (path: string) => path !== '' && statSync(path).size < MAX_BYTES;

/** What LiteRT refuses whoever wrote it: states, and signatures that leave an output out. */
const REFUSED = /Variable tensors not yet supported|incorrect number of input\/outputs/;

/** Where nothing is rounded but floats, two runtimes are this near each other. */
const FLOAT_DB = 90;
/** Errors of the two files and of the two float runs, that know nothing of each other, add up to this. */
const FOUR_ERRORS_DB = 6.1;
/** Twice the noise. */
const TWICE_DB = 3.1;

describeWithCorpus('models of others', () => {
  const files = corpusTflite('models', 'models/aeq').filter(([, path]) => isSmall(path));
  const subjects = new Map<string, Promise<Subject | undefined>>();

  test.each(SCHEMES)(
    '%s',
    async (_, make) => {
      const found: (Decibels & { readonly name: string })[] = [];
      for (const [name, path] of files) {
        if (!subjects.has(path)) subjects.set(path, openSubject(path));
        // oxlint-disable-next-line no-await-in-loop -- one run after the other
        const decibels = await apart(await subjects.get(path), make);
        if (decibels !== undefined) found.push({ name, ...decibels });
      }
      expect(found.length).toBeGreaterThan(2);
      const isFar = ({ old, newest, floats, both }: Decibels) =>
        both < Math.min(old, newest, floats, FLOAT_DB) - FOUR_ERRORS_DB;
      expect(found.filter(isFar)).toEqual([]);
      const isWorse = ({ old, newest }: Decibels) => newest < Math.min(old, FLOAT_DB) - TWICE_DB;
      expect(found.filter(isWorse)).toEqual([]);
    },
    120_000,
  );
});

/** A float model with what it computes in either runtime. */
interface Subject {
  readonly model: TfliteModel;
  readonly feeds: Feeds;
  readonly ranges: Statistics;
  readonly old: Float32Array;
  readonly newest: Float32Array;
}

/** Undefined for what one of the runtimes refuses as it is. */
async function openSubject(path: string): Promise<Subject | undefined> {
  const model = prepareTflite(openModel(path), { fixBatch: true });
  const feeds = await sampleFor(model);
  if (feeds === undefined) return undefined;
  const newest = await runNewest(model, [feeds]).catch((error: unknown) => {
    if (REFUSED.test(String(error))) return undefined;
    throw error;
  });
  if (newest === undefined) return undefined;
  const [ranges, old] = [await observe(model, [feeds]), await runAll(model, [feeds])];
  return { model, feeds, ranges, old: numbersOf(old), newest: numbersOf(newest) };
}

/** The quantized model beside float, in either runtime, and one runtime beside the other. */
interface Decibels {
  readonly old: number;
  readonly newest: number;
  readonly floats: number;
  readonly both: number;
}

async function apart(subject: Subject | undefined, make: Make): Promise<Decibels | undefined> {
  if (subject === undefined) return undefined;
  const { model, feeds, ranges } = subject;
  const quantized = made(() => make(model, ranges));
  if (quantized === undefined) return undefined;
  const old = numbersOf(await runAll(quantized, [feeds]));
  const newest = numbersOf(await runNewest(quantized, [feeds]));
  // Whatever was in memory may be no number, and there may be too little of it.
  expect(newest).toHaveLength(old.length);
  expect(newest.every(Number.isFinite) && old.every(Number.isFinite)).toBe(true);
  return {
    old: sqnr(subject.old, old),
    newest: sqnr(subject.newest, newest),
    floats: sqnr(subject.old, subject.newest),
    both: sqnr(old, newest),
  };
}

/** All numbers of all outputs, by name. */
function numbersOf(list: readonly Outputs[]): Float32Array {
  const byName = list.flatMap((one) =>
    Object.keys(one)
      .toSorted()
      .map((name) => one[name]!),
  );
  return Float32Array.from(byName.flatMap(({ data }) => Array.from(data, Number)));
}
