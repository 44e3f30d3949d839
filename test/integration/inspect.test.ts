import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import type { Comparison } from '../../agent/contracts/inspect.ts';
import { inspectModel } from '../../agent/fit/inspect/inspect.ts';
import { quantizeModel } from '../../agent/fit/run.ts';
import type { InspectRequest } from '../../agent/fit/types.ts';
import { npy } from '../calibration/make-arrays.ts';
import {
  WEIGHTS,
  floatBytes,
  oursBytes,
  peerBytes,
  qoperatorBytes,
} from '../model/onnx/layer-models.ts';
import { corpusPath, describeWithCorpus } from '../support/corpus.ts';
import { tinyModel } from '../support/tiny-onnx.ts';

const LIMIT_MS = 120_000;
const folder = mkdtempSync(join(tmpdir(), 'edgefit-inspect-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function put(name: string, content: Uint8Array): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

const hooks = { signal: new AbortController().signal, progress: () => undefined };

function inspect(changes: Partial<InspectRequest> & { readonly modelPath: string }) {
  return inspectModel({ samples: {}, image: {}, limit: 16, ...changes }, hooks);
}

async function compare(changes: Parameters<typeof inspect>[0]): Promise<Comparison> {
  const { comparison } = await inspect(changes);
  if (comparison === undefined) throw new Error('no comparison');
  return comparison;
}

const COUNT = 12;
const VALUES = Float32Array.from({ length: COUNT * 2 }, (_, at) => Math.sin(at * 1.7));
const float = put('float.onnx', floatBytes());
const samples = { path: put('x.npy', npy('<f4', [COUNT, 2], VALUES)) };

/** u8 of scale 1/64, as the models of the tests have it. */
function rounded(value: number, zeroPoint: number): number {
  const integer = Math.round(value * 64) + zeroPoint;
  return (Math.min(255, Math.max(0, integer)) - zeroPoint) / 64;
}

/** SQNR of relu(x w) in dB: rounded input, integer weights, rounded result. */
function expectedSqnr(): number {
  const integers = [64, -127, 32, 95].map((value) => value / 127);
  let [energy, error] = [0, 0];
  // The second half evaluates, as everywhere.
  for (let at = COUNT / 2; at < COUNT; at++) {
    const x = [VALUES[at * 2] ?? 0, VALUES[at * 2 + 1] ?? 0];
    const given = x.map((value) => rounded(value, 128));
    for (const column of [0, 1]) {
      const product = (a: readonly number[], w: ArrayLike<number>) =>
        Math.max(0, (a[0] ?? 0) * (w[column] ?? 0) + (a[1] ?? 0) * (w[2 + column] ?? 0));
      const wanted = product(x, WEIGHTS);
      energy += wanted ** 2;
      error += (wanted - rounded(product(given, integers), 0)) ** 2;
    }
  }
  return 10 * Math.log10(energy / error);
}

describe('the same model quantized in three ways', () => {
  test.each([
    ['QDQ as we write it', oursBytes()],
    ['QDQ with names before the rounding', peerBytes()],
    ['QOperator', qoperatorBytes()],
  ])(
    '%s',
    async (name, bytes) => {
      const quantizedPath = put(`${name}.onnx`, bytes);
      const { layers, samples: count } = await compare({
        modelPath: float,
        quantizedPath,
        samples,
      });
      expect(count).toBe(COUNT / 2);
      const clamp = layers.find(({ tensor }) => tensor === 'r');
      expect(clamp).toMatchObject({ node: 'clamp', op: 'Relu', integer: true, output: false });
      expect(clamp?.sqnrDb).toBeCloseTo(expectedSqnr(), 1);
      // Nothing lies before the first layer: all of its error is its own.
      expect(layers[0]?.ownSqnrDb).toBeCloseTo(layers[0]?.sqnrDb ?? NaN, 6);
      expect(layers.at(-1)).toMatchObject({ tensor: 'y', output: true, values: COUNT });
    },
    LIMIT_MS,
  );
});

test(
  'a layer on its own: later errors do not count for what comes before them, nor earlier ones',
  async () => {
    const quantizedPath = put('own.onnx', peerBytes());
    const { layers, worst } = await compare({ modelPath: float, quantizedPath, samples });
    const sum = layers.find(({ tensor }) => tensor === 'y');
    // The sum itself is float; only the model's input, which it reads rounded, is not exact.
    expect(sum?.ownSqnrDb).toBeGreaterThan(sum?.sqnrDb ?? Infinity);
    expect(worst).toContain('r');
  },
  LIMIT_MS,
);

test(
  'a model against itself has no error at all, and a chart of it can be drawn',
  async () => {
    const chart = join(folder, 'same.html');
    const comparison = await compare({ modelPath: float, quantizedPath: float, samples, chart });
    expect(comparison).toMatchObject({ sqnrDb: null, worst: [], unmatched: [] });
    expect(comparison.layers.map(({ sqnrDb, ownSqnrDb }) => [sqnrDb, ownSqnrDb])).toEqual([
      [null, null],
      [null, null],
      [null, null],
    ]);
    expect(readFileSync(chart, 'utf8')).toContain('exact');
  },
  LIMIT_MS,
);

test(
  'one model: a model that cannot run is looked at all the same',
  async () => {
    const strange = tinyModel({
      inputs: [{ name: 'x', shape: [1, 2] }],
      outputs: [{ name: 'y', shape: [1, 2] }],
      nodes: [{ op: 'Quant', domain: 'qonnx.custom_op.general', inputs: ['x'], outputs: ['y'] }],
      domains: { 'qonnx.custom_op.general': 1 },
    });
    const report = await inspect({ modelPath: put('strange.onnx', strange) });
    expect(report).toMatchObject({ integerCoverage: null, model: { form: 'simulated' } });
    expect(report.warnings).toEqual([expect.stringContaining('integer coverage is not known')]);
  },
  LIMIT_MS,
);

describe('refused in one line', () => {
  const other = put(
    'other.onnx',
    tinyModel({
      inputs: [{ name: 'z', shape: [1, 2] }],
      outputs: [{ name: 'y', shape: [1, 2] }],
      nodes: [{ op: 'Relu', inputs: ['z'], outputs: ['y'] }],
    }),
  );
  const unlike = put(
    'unlike.onnx',
    tinyModel({
      inputs: [{ name: 'x', shape: [1, 2] }],
      outputs: [{ name: 'q', shape: [1, 4] }],
      nodes: [{ op: 'Concat', inputs: ['x', 'x'], outputs: ['q'], attributes: { axis: 1 } }],
    }),
  );
  const quantized = put('quantized.onnx', oursBytes());
  test.each([
    ['swapped', quantized, float, samples, 'give the float model first'],
    ['other inputs', float, other, samples, "its input 'z' is none of x"],
    ['nothing of the same size', float, unlike, samples, 'no tensor has the same size'],
    ['no samples', float, quantized, {}, 'comparing needs samples: give --samples'],
    ['no such samples', float, quantized, { path: join(folder, 'no.npz') }, 'no such file'],
    ['no such model', float, join(folder, 'none.onnx'), samples, 'no such file'],
    ['no model', float, samples.path, samples, 'x.npy'],
  ])(
    '%s',
    async (_, modelPath, quantizedPath, from, says) => {
      const failed = inspect({ modelPath, quantizedPath, samples: from });
      await expect(failed).rejects.toMatchObject({
        kind: 'input',
        message: expect.stringContaining(says),
      });
    },
    LIMIT_MS,
  );

  test('a chart in the place of a model', async () => {
    const failed = inspect({ modelPath: float, quantizedPath: quantized, samples, chart: float });
    await expect(failed).rejects.toMatchObject({ code: 'bad-output' });
  });
});

describeWithCorpus('a real network', () => {
  const modelPath = corpusPath('packages', 'mlptiny-ic-resnet.json');

  function expectSound({ layers, sqnrDb, unmatched }: Comparison): void {
    expect(layers.length).toBeGreaterThanOrEqual(12);
    expect(layers.some(({ op, integer }) => op === 'Conv' && integer)).toBe(true);
    for (const { sqnrDb: db, ownSqnrDb } of layers) {
      expect(db ?? 100).toBeGreaterThan(10);
      expect(ownSqnrDb ?? 100).toBeGreaterThan(15);
    }
    expect(sqnrDb).toBeGreaterThan(15);
    expect(unmatched.length).toBeLessThan(layers.length);
  }

  test(
    'by us',
    async () => {
      const output = join(folder, 'ours.onnx');
      const request = { modelPath, scheme: 'int8-static', output, ranges: [] } as const;
      await quantizeModel({ ...request, samples: {}, image: {} }, hooks);
      expectSound(await compare({ modelPath, quantizedPath: output, limit: 4 }));
    },
    LIMIT_MS,
  );

  test(
    "by onnxruntime's tool",
    async () => {
      const quantizedPath = corpusPath('models/others/mlptiny_ic_resnet_ort_qdq_u8s8.onnx');
      const chart = join(folder, 'peer.svg');
      const comparison = await compare({ modelPath, quantizedPath, limit: 4, chart });
      expectSound(comparison);
      expect(comparison.samples).toBe(4);
      const rows = readFileSync(chart, 'utf8').match(/<g><title>/g);
      expect(rows).toHaveLength(comparison.layers.length);
    },
    LIMIT_MS,
  );
});
