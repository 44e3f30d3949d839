import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { quantizeModel } from '../../agent/fit/run.ts';
import type { QuantizeRequest } from '../../agent/fit/types.ts';
import { npy } from '../calibration/make-arrays.ts';
import { tinyModel } from '../support/tiny-onnx.ts';

/*
 * Three layers of 32 by 32. In each column of the second one a weight of 12 meets an input that is
 * always zero: it never counts, but it takes the whole range of the column, and leaves two or three
 * steps to the others.
 */
const WIDTH = 32;
const SAMPLES = 24;
const LIMIT_MS = 120_000;

const folder = mkdtempSync(join(tmpdir(), 'edgefit-test-mixed-'));
const hooks = { signal: new AbortController().signal, progress: () => undefined };

beforeAll(() => {
  const random = generator(7);
  const weight = (name: string, outlier: number) => {
    const data = Float32Array.from({ length: WIDTH * WIDTH }, () => random() / 4);
    if (outlier !== 0) data.fill(outlier, 0, WIDTH);
    return { name, shape: [WIDTH, WIDTH], data };
  };
  // Nothing comes out of the first layer's first column, so the outliers meet zeros.
  const first = weight('w1', 0);
  for (let row = 0; row < WIDTH; row++) first.data[row * WIDTH] = 0;
  const model = tinyModel({
    opset: 17,
    inputs: [{ name: 'x', shape: [1, WIDTH] }],
    outputs: [{ name: 'y', shape: [1, WIDTH] }],
    nodes: [
      { op: 'Gemm', inputs: ['x', 'w1'], outputs: ['a'], name: 'first' },
      { op: 'Relu', inputs: ['a'], outputs: ['b'], name: 'relu' },
      { op: 'Gemm', inputs: ['b', 'w2'], outputs: ['c'], name: 'second' },
      { op: 'Relu', inputs: ['c'], outputs: ['d'], name: 'relu2' },
      { op: 'Gemm', inputs: ['d', 'w3'], outputs: ['y'], name: 'third' },
    ],
    weights: [first, weight('w2', 12), weight('w3', 0)],
  });
  writeFileSync(join(folder, 'model.onnx'), model);
  const data = Float32Array.from({ length: SAMPLES * WIDTH }, random);
  writeFileSync(join(folder, 'x.npy'), npy('<f4', [SAMPLES, WIDTH], data));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Uniform in [-1, 1), always the same. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

function request(output: string, more: Partial<QuantizeRequest> = {}): QuantizeRequest {
  return {
    modelPath: join(folder, 'model.onnx'),
    scheme: 'int8-static',
    output: join(folder, output),
    ranges: [],
    samples: { path: join(folder, 'x.npy') },
    image: {},
    ...more,
  };
}

test(
  'the one layer that ruins the accuracy goes back to float, and the report says what it cost',
  async () => {
    const report = await quantizeModel(request('mixed.onnx', { minSqnrDb: 30 }), hooks);
    const given = report.left.filter(({ reason }) => reason.startsWith('given back to float'));
    expect(given.map(({ node }) => node)).toEqual(['second']);
    expect(given[0]?.reason).toMatch(/rounded alone it holds the model to \d+\.\d dB/);
    expect(report.ops.integer).toBeGreaterThanOrEqual(2);
  },
  LIMIT_MS,
);

test(
  'nothing goes back where that was forbidden, or where the limit is lower',
  async () => {
    const plain = await quantizeModel(request('plain.onnx', { noMixed: true }), hooks);
    expect(plain.left).toEqual([]);
    expect(plain.warnings?.join()).toMatch(
      /SQNR is 1\d\.\d dB on calibration samples, below 20: check how inputs are prepared/,
    );
    const low = await quantizeModel(request('low.onnx', { minSqnrDb: -50 }), hooks);
    expect(low.left).toEqual([]);
    expect(low.warnings?.join()).not.toContain('SQNR');
    expect(readFileSync(join(folder, 'low.onnx'))).toEqual(
      readFileSync(join(folder, 'plain.onnx')),
    );
  },
  LIMIT_MS,
);

test(
  'a name of the other format is told',
  async () => {
    const odd = await quantizeModel(request('odd.tflite', { scheme: 'fp16' }), hooks);
    expect(odd.warnings).toContain(
      `${join(folder, 'odd.tflite')} holds a model of the format onnx, in spite of its name`,
    );
  },
  LIMIT_MS,
);

test(
  'auto holds 20 dB, and has a row with a reason for everything that it tried',
  async () => {
    const report = await quantizeModel(request('auto.onnx', { scheme: 'auto' }), hooks);
    const rows = report.candidates ?? [];
    const chosen = rows.filter(({ verdict }) => verdict === 'chosen');
    expect(chosen).toHaveLength(1);
    expect(chosen[0]?.fidelity?.sqnrDb ?? Infinity).toBeGreaterThanOrEqual(20);
    expect(rows.every(({ reason }) => reason !== '')).toBe(true);
  },
  LIMIT_MS,
);
