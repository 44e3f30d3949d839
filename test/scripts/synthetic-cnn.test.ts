import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { manifestSchema } from '../../agent/contracts/manifest.ts';
import { onnxRuntime } from '../../agent/runtime/onnxruntime.ts';
import { readNpz } from '../support/read-npz.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgefit-synthetic-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs the script as a program: millions of weights take minutes inside a test's sandbox. */
async function write(name: string, seed: number): Promise<string> {
  const script = resolve(import.meta.dirname, '../../scripts/synthetic-cnn.js');
  const args = [script, join(folder, name), '--seed', String(seed), '--samples', '3'];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
  return stdout.trim();
}

test('a package around a network of over 4 MB that runs', async () => {
  const path = await write('one', 7);
  const manifest = manifestSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  const model = join(folder, 'one', manifest.model);
  expect((await readFile(model)).length).toBeGreaterThan(4e6);
  expect(manifest.samples).toMatchObject({ calibration: { to: 3 }, evaluation: { from: 3 } });
  const samples = join(folder, 'one', manifest.samples?.calibration?.path ?? '');
  const { image } = await readNpz(samples);
  const pixels = Array.from(image!.bytes.subarray(0, 48 * 48 * 3));
  expect(Math.max(...pixels) - Math.min(...pixels)).toBeGreaterThan(50);
  const session = await onnxRuntime.open(model, { threads: 1, optimization: 'all', arena: false });
  const data = Float32Array.from({ length: 3 * 48 * 48 }, (_, i) => Math.sin(i));
  const feeds = { image: { dtype: 'float32' as const, shape: [1, 3, 48, 48], data } };
  const { scores } = await session.run(feeds);
  await session.close();
  expect(scores?.shape).toEqual([1, 100]);
  expect(new Set(scores?.data as Float32Array).size).toBeGreaterThan(50);
}, 90_000);

test('the same network from the same seed only', async () => {
  const models = [];
  for (const [name, seed] of [
    ['a', 7],
    ['b', 7],
    ['c', 8],
  ] as const) {
    // oxlint-disable-next-line no-await-in-loop -- three short programs
    await write(name, seed);
    // oxlint-disable-next-line no-await-in-loop -- three files
    models.push(await readFile(join(folder, name, 'synthetic-cnn.onnx')));
  }
  // Not toEqual, which looks at millions of bytes one by one.
  expect(models[0]!.equals(models[1]!)).toBe(true);
  expect(models[0]!.equals(models[2]!)).toBe(false);
}, 90_000);
