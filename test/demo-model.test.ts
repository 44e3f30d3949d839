import { describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { manifestSchema } from '../agent/contracts/manifest.ts';
import { shippedPath } from '../agent/util/paths.ts';
import { tfliteRuntime } from '../agent/runtime/tflite/tflite.ts';
import {
  drawRows,
  encodeManifest,
  manifest as writtenManifest,
} from '../scripts/demo-model/samples.js';
import { demoTflite } from '../scripts/demo-model/tflite.js';
import { readNpz } from './support/read-npz.ts';

const folder = shippedPath('demo');
const readManifest = async () =>
  manifestSchema.parse(JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')));

/** The committed manifest, model path, pictures and labels. */
async function openDemo() {
  const manifest = await readManifest();
  const samples = await readNpz(join(folder, manifest.samples?.evaluation?.path ?? ''));
  const { image, labels } = samples;
  if (image === undefined || labels === undefined) throw new Error('samples.npz lacks an array');
  return { manifest, image, labels, model: join(folder, manifest.model) };
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

function argmax(values: Float32Array): number {
  return values.reduce((best, value, i) => (value > (values[best] ?? value) ? i : best), 0);
}

describe('demo manifest', () => {
  test('is an edgefit/model/1 manifest, as the script writes it', async () => {
    const text = await readFile(join(folder, 'manifest.json'), 'utf8');
    expect(JSON.parse(text)).toEqual(writtenManifest());
    const manifest = await readManifest();
    expect(manifest.inputs['image']).toMatchObject({ image: { color: 'gray', layout: 'nchw' } });
    expect(manifest.task).toMatchObject({ kind: 'classification', output: 'logits' });
  });

  test('keeps calibration and evaluation apart and inside the file', async () => {
    const { manifest, image, labels } = await openDemo();
    const { calibration, evaluation } = manifest.samples ?? {};
    expect(calibration).toMatchObject({ from: 0, to: 256 });
    expect(evaluation).toMatchObject({ from: 256, to: 1056 });
    expect(image).toMatchObject({ descr: '|u1', shape: [1056, 32, 32, 1] });
    expect(labels).toMatchObject({ descr: '<i4', shape: [1056] });
  });
});

describe('demo samples', () => {
  test('are what the script draws from its seeds', async () => {
    const { image, labels } = await openDemo();
    for (const [range, start] of [
      ['calibration', 0],
      ['evaluation', 256],
    ] as const) {
      const rows = drawRows(range, 50);
      const committed = image.bytes.subarray(start * 1024, (start + 50) * 1024);
      expect(sha256(Buffer.concat(rows.map((row) => row.pixels)))).toBe(sha256(committed));
      const expected = rows.map((_, i) => labels.bytes.readInt32LE(4 * (start + i)));
      expect(rows.map((row) => row.label)).toEqual(expected);
    }
  });

  test('hold each class equally often', async () => {
    const { labels } = await openDemo();
    const counts = Array<number>(10).fill(0);
    for (let row = 256; row < 1056; row += 1) counts[labels.bytes.readInt32LE(4 * row)]! += 1;
    expect(counts).toEqual(Array<number>(10).fill(80));
  });
});

describe('demo model', () => {
  test('stays under 500 kB', async () => {
    const { model } = await openDemo();
    expect((await stat(model)).size).toBeLessThan(500_000);
  });

  test('names at least 95 % of the held-out pictures', async () => {
    const { model, image, labels } = await openDemo();
    const session = await InferenceSession.create(model, { intraOpNumThreads: 1 });
    expect(session.inputNames).toEqual(['image']);
    expect(session.outputNames).toEqual(['logits']);
    let right = 0;
    for (let row = 256; row < 1056; row += 1) {
      const pixels = image.bytes.subarray(row * 1024, (row + 1) * 1024);
      const values = Float32Array.from(pixels, (pixel) => (pixel - 128) / 64);
      const feeds = { image: new Tensor('float32', values, [1, 1, 32, 32]) };
      const { logits } = await session.run(feeds);
      if (argmax(logits?.data as Float32Array) === labels.bytes.readInt32LE(4 * row)) right += 1;
    }
    await session.release();
    expect(right / 800).toBeGreaterThanOrEqual(0.95);
  }, 60_000);
});

describe('demo model for TFLite', () => {
  const [onnxFile, tfliteFile] = [join(folder, 'shapes.onnx'), join(folder, 'shapes.tflite')];

  test('is what the script makes of the ONNX file, and so is its manifest', async () => {
    const made = demoTflite(await readFile(onnxFile));
    expect(sha256(made)).toBe(sha256(await readFile(tfliteFile)));
    const text = await readFile(join(folder, 'manifest-tflite.json'), 'utf8');
    expect(text).toBe(encodeManifest('tflite'));
    const { model, inputs } = manifestSchema.parse(JSON.parse(text));
    expect(model).toBe('shapes.tflite');
    expect(inputs['image']).toMatchObject({ image: { layout: 'nhwc' } });
  });

  test('answers as the ONNX file does, within 1e-5 of the largest logit', async () => {
    const { image } = await openDemo();
    const onnx = await InferenceSession.create(onnxFile, { intraOpNumThreads: 1 });
    const options = { threads: 1, optimization: 'all', arena: true } as const;
    const tflite = await tfliteRuntime.open(tfliteFile, options);
    let furthest = 0;
    for (let row = 256; row < 1056; row += 8) {
      const pixels = image.bytes.subarray(row * 1024, (row + 1) * 1024);
      const data = Float32Array.from(pixels, (pixel) => (pixel - 128) / 64);
      const theirs = await onnx.run({ image: new Tensor('float32', data, [1, 1, 32, 32]) });
      const ours = await tflite.run({ image: { dtype: 'float32', shape: [1, 32, 32, 1], data } });
      const logits = theirs['logits']?.data as Float32Array;
      expect(ours['logits']?.shape).toEqual([1, 10]);
      const own = ours['logits']?.data as Float32Array;
      const scale = Math.max(...logits.map(Math.abs));
      for (const [at, value] of logits.entries()) {
        furthest = Math.max(furthest, Math.abs((own[at] ?? NaN) - value) / scale);
      }
    }
    await tflite.close();
    await onnx.release();
    expect(furthest).toBeLessThan(1e-5);
  }, 60_000);
});
