import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { manifestSchema } from '../../agent/contracts/manifest.ts';
import { onnxRuntime } from '../../agent/runtime/onnxruntime.ts';
import { encodeNetwork, writeSyntheticCnn } from '../../scripts/synthetic-cnn.js';
import { readNpz } from '../support/read-npz.ts';

test('a package around a network of over 4 MB that runs', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgefit-synthetic-'));
  try {
    const path = writeSyntheticCnn(folder, { samples: 3 });
    const manifest = manifestSchema.parse(JSON.parse(await readFile(path, 'utf8')));
    const model = join(folder, manifest.model);
    expect((await stat(model)).size).toBeGreaterThan(4e6);
    expect(manifest.samples).toMatchObject({ calibration: { to: 3 }, evaluation: { from: 3 } });
    const { image } = await readNpz(join(folder, manifest.samples?.calibration?.path ?? ''));
    const pixels = Array.from(image!.bytes.subarray(0, 48 * 48 * 3));
    expect(Math.max(...pixels) - Math.min(...pixels)).toBeGreaterThan(50);
    const session = await onnxRuntime.open(model, {
      threads: 1,
      optimization: 'all',
      arena: false,
    });
    const data = Float32Array.from({ length: 3 * 48 * 48 }, (_, i) => Math.sin(i));
    const feeds = { image: { dtype: 'float32' as const, shape: [1, 3, 48, 48], data } };
    const { scores } = await session.run(feeds);
    await session.close();
    expect(scores?.shape).toEqual([1, 100]);
    expect(new Set(scores?.data as Float32Array).size).toBeGreaterThan(50);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 30_000);

test('the same network from the same seed only', () => {
  const file = encodeNetwork(7);
  // Not toEqual: it looks at millions of bytes one by one.
  expect(file.equals(encodeNetwork(7))).toBe(true);
  expect(file.equals(encodeNetwork(8))).toBe(false);
});
