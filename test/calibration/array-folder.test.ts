import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openSamples } from '../../agent/calibration/samples/open.ts';
import { copySubset } from '../../agent/calibration/samples/subset.ts';
import type { SessionDescription } from '../../agent/runtime/types.ts';
import { npyHeader } from '../../agent/calibration/samples/npy.ts';
import { npz } from './make-arrays.ts';

/* A folder of array files, as the samples that a device records lie on its disk. */

const vector: SessionDescription = {
  inputs: [{ name: 'x', dtype: 'float32', shape: [1, 2] }],
  outputs: [],
};

let folder = '';

/** Rows [n, n + 0.5] for n from `first` on. */
function rows(first: number, count: number): Buffer {
  const values = Array.from({ length: count }, (_, at) => [first + at, first + at + 0.5]).flat();
  const bytes = Buffer.from(Float32Array.from(values).buffer);
  return Buffer.concat([npyHeader('float32', [count, 2]), bytes]);
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'edgefit-arrays-'));
  writeFileSync(join(folder, '000000000003.npz'), npz({ 'x.npy': rows(0, 1) }));
  writeFileSync(join(folder, '000000000008.npz'), npz({ 'x.npy': rows(1, 3) }));
  writeFileSync(join(folder, '000000000009.npy'), rows(4, 2));
  writeFileSync(join(folder, 'set.json'), '{}');
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function firsts(path: string, from?: number, to?: number): Promise<number[]> {
  const source = await openSamples({ path }, {}, vector, { from, to });
  const found: number[] = [];
  for await (const { feeds } of source) found.push(Number(feeds['x']?.data[0]));
  expect(source.count).toBe(found.length);
  return found;
}

test('every row of every file is a sample, in order', async () => {
  expect(await firsts(folder)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(await firsts(folder, 2, 5)).toEqual([2, 3, 4]);
  await expect(firsts(folder, 2, 7)).rejects.toMatchObject({ code: 'range' });
});

test('a part of it can be packed', async () => {
  const target = mkdtempSync(join(tmpdir(), 'edgefit-packed-'));
  const set = await copySubset({ path: folder, from: 2, to: 5 }, {}, { folder: target, name: 's' });
  expect(await firsts(join(target, set.path), set.from, set.to)).toEqual([2, 3, 4]);
  rmSync(target, { recursive: true });
});

test('a file for another model is named', async () => {
  const other: SessionDescription = {
    inputs: [{ name: 'x', dtype: 'float32', shape: [1, 3] }],
    outputs: [],
  };
  await expect(openSamples({ path: folder }, {}, other)).rejects.toMatchObject({
    code: 'shape',
    message: expect.stringContaining('000000000003.npz'),
  });
});
