import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { plansFor, npzOf } from '../../../agent/calibration/recording/sample.ts';
import { SampleStore } from '../../../agent/calibration/recording/store.ts';
import { npyHeader } from '../../../agent/calibration/samples/npy.ts';
import type { ModelInput } from '../../../agent/contracts/recorded.ts';
import {
  lookAtRecorded,
  recordableInputs,
  withRecorded,
} from '../../../agent/fit/samples/recorded.ts';
import { benchModel } from '../../../agent/fit/run.ts';
import type { BenchRequest, BenchRun } from '../../../agent/fit/types.ts';
import { openOnnx } from '../../../agent/model/onnx/open.ts';
import { tinyModel } from '../../support/tiny-onnx.ts';

jest.setTimeout(120_000);

const INPUTS: readonly ModelInput[] = [{ name: 'x', dtype: 'float32', shape: [1, 16] }];
/** The application sees values eight times as large as those of the package. */
const SCALE = 8;

let folder = '';
const at = (name: string) => join(folder, name);

/** Sample `n`: between -1 and 1, both of which are reached. */
const values = (n: number, scale = 1) =>
  Float32Array.from({ length: 16 }, (_, i) =>
    i < 2 ? scale * (2 * i - 1) : scale * Math.sin(n * 16 + i),
  );

function writeSamples(name: string, count: number, first: number): void {
  const rows = Array.from({ length: count }, (_, n) => Buffer.from(values(first + n).buffer));
  writeFileSync(at(name), Buffer.concat([npyHeader('float32', [count, 16]), ...rows]));
}

async function record(name: string, count: number, inputs = INPUTS): Promise<string> {
  const store = await SampleStore.open({
    folder: at(name),
    model: 'kws',
    inputs,
    limits: { maxSamples: 100, maxBytes: 1e6 },
    random: () => 0,
    now: () => new Date(),
  });
  for (let n = 0; n < count; n += 1) {
    const bytes = new Uint8Array(values(n, SCALE).buffer);
    const array = { name: 'x', dtype: 'float32', shape: [1, 16], bytes } as const;
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await store.add(npzOf([array], plansFor(INPUTS)));
  }
  return at(name);
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'edgefit-recorded-'));
  mkdirSync(at('package'));
  const weights = Float32Array.from({ length: 16 * 64 }, (_, i) => Math.sin(i + 1) / 4);
  const back = Float32Array.from({ length: 64 * 4 }, (_, i) => Math.cos(i + 1) / 4);
  const model = tinyModel({
    inputs: [{ name: 'x', shape: [1, 16] }],
    outputs: [{ name: 'y', shape: [1, 4] }],
    nodes: [
      { op: 'MatMul', inputs: ['x', 'w'], outputs: ['h'] },
      { op: 'Relu', inputs: ['h'], outputs: ['r'] },
      { op: 'MatMul', inputs: ['r', 'v'], outputs: ['y'] },
    ],
    weights: [
      { name: 'w', shape: [16, 64], data: weights },
      { name: 'v', shape: [64, 4], data: back },
    ],
  });
  writeFileSync(at('package/model.onnx'), model);
  writeSamples('package/calibration.npy', 40, 0);
  writeSamples('package/evaluation.npy', 12, 100);
  const manifest = {
    schema: 'edgefit/model/1',
    name: 'kws',
    model: 'model.onnx',
    samples: {
      calibration: { path: 'calibration.npy' },
      evaluation: { path: 'evaluation.npy' },
    },
  };
  writeFileSync(at('package/manifest.json'), JSON.stringify(manifest));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function bench<T>(recorded: string | undefined, use: (run: BenchRun) => T): Promise<T> {
  const request: BenchRequest = {
    modelPath: at('package/manifest.json'),
    plan: { precisions: ['int8-static'], threads: [1], runtimes: ['onnxruntime'], asIs: false },
    samples: { recorded },
    image: {},
    objective: { optimize: 'latency', maxAccuracyDrop: null, minSqnrDb: null, maxP90Ms: null },
    minTimeSeconds: 0.02,
    coolDownSeconds: null,
  };
  const signal = AbortSignal.timeout(60_000);
  const run = await benchModel(request, { signal, progress: () => undefined });
  try {
    return use(run);
  } finally {
    await run.cleanup();
  }
}

/** The scale with which `x` becomes integers, read from the model that was made. */
function inputScale(run: BenchRun): number {
  const [, files] = [...run.files].find(([id]) => id.includes('int8-static')) ?? [];
  const { graph } = openOnnx(readFileSync(files?.path ?? ''));
  const node = graph.node.find(
    ({ opType, input }) => opType === 'QuantizeLinear' && input[0] === 'x',
  );
  const scale = graph.initializer.find(({ name }) => name === node?.input[1]);
  const raw = scale?.rawData;
  if (raw === undefined) throw new Error('x is not quantized');
  return new DataView(raw.buffer, raw.byteOffset).getFloat32(0, true);
}

const HOW = { inputs: {}, image: {} };
const job = (path: string) => ({ origin: { path }, ...HOW });

describe('recorded samples', () => {
  test('widen the ranges of what is made, and the package goes on judging', async () => {
    const own = await bench(undefined, (run) => ({ scale: inputScale(run), run }));
    const recorded = await record('recorded', 40);
    const wide = await bench(recorded, (run) => ({ scale: inputScale(run), run }));
    // From -1 to 1 in 255 steps, and eight times that.
    expect(own.scale).toBeCloseTo(2 / 255, 4);
    expect(wide.scale).toBeCloseTo((SCALE * 2) / 255, 3);
    expect(own.run.report.samples).toMatchObject({ calibration: 40, evaluation: 12 });
    expect(own.run.report.samples.recorded).toBeUndefined();
    expect(wide.run.report.samples).toMatchObject({
      calibration: 40,
      evaluation: 12,
      recorded: { samples: 40, used: true, why: null },
    });
    expect(wide.run.inputs).toEqual(INPUTS);
  });

  test('too few, of other inputs or none at all leave the samples of the package', async () => {
    const wider: readonly ModelInput[] = [{ name: 'x', dtype: 'float32', shape: [1, 17] }];
    const cases = [
      [await record('few', 31), 31, 'there are 31, 32 are needed'],
      [await record('other', 40, wider), 40, 'they were recorded for other inputs'],
      [at('nothing'), 0, 'nothing is recorded'],
    ] as const;
    const own = { calibration: job('c'), evaluation: job('e'), warnings: [] };
    for (const [path, samples, why] of cases) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const found = await lookAtRecorded(path, INPUTS);
      expect(found).toEqual({ samples, used: false, why });
      const { calibration, evaluation, warnings } = withRecorded(own, path, found, HOW);
      expect([calibration, evaluation]).toEqual([own.calibration, own.evaluation]);
      expect(warnings.join()).toContain(why);
    }
  });

  test('do both where the package has none', async () => {
    const path = await record('alone', 40);
    const none = { calibration: null, evaluation: null, warnings: [] };
    const sets = withRecorded(none, path, await lookAtRecorded(path, INPUTS), HOW);
    expect(sets.calibration).toMatchObject({ origin: { path }, from: 0, to: 20 });
    expect(sets.evaluation).toMatchObject({ origin: { path }, from: 20, to: 40 });
  });

  test('are of no use to a model that takes text', () => {
    const text = { inputs: [{ name: 't', dtype: 'string', shape: [1] }], outputs: [] } as const;
    expect(recordableInputs({}, text)).toBeNull();
  });
});
