import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openSamples } from '../../agent/calibration/samples/open.ts';
import { copySubset } from '../../agent/calibration/samples/subset.ts';
import type { Sample } from '../../agent/calibration/samples/types.ts';
import type { InputSpec } from '../../agent/contracts/manifest.ts';
import type { SessionDescription } from '../../agent/runtime/types.ts';
import { npy, npz } from './make-arrays.ts';

/*
 * A copy of a part must give the very samples, in order and with their labels, that the part of the
 * whole gives: both are read with the code that devices read them with.
 */
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgefit-subset-'));
});
afterAll(() => rm(folder, { recursive: true }));

const vector: SessionDescription = {
  inputs: [{ name: 'x', dtype: 'float32', shape: [1, 3] }],
  outputs: [],
};

interface Case {
  readonly path: string;
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly inputs?: Readonly<Record<string, InputSpec>>;
  readonly description?: SessionDescription;
}

async function samplesOf({ path, from, to, inputs = {}, description = vector }: Case) {
  const source = await openSamples({ path }, inputs, description, { from, to });
  const samples: Sample[] = [];
  for await (const sample of source) samples.push(sample);
  return samples.map(({ feeds, label }) => ({ feeds, label }));
}

async function copied(one: Case) {
  const target = await mkdtemp(join(folder, 'copy-'));
  const { path, from, to } = one;
  const set = {
    path,
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  };
  const copy = await copySubset(set, one.inputs ?? {}, { folder: target, name: 'part' });
  expect(
    await samplesOf({
      ...one,
      from: undefined,
      to: undefined,
      ...copy,
      path: join(target, copy.path),
    }),
  ).toEqual(await samplesOf(one));
  return { copy, target };
}

describe('arrays', () => {
  const values = Float32Array.from({ length: 30 }, (_, at) => at / 3);

  test('.npy: the rows named, and bytes that repeat', async () => {
    const path = join(folder, 'x.npy');
    await writeFile(path, npy('<f4', [10, 3], values));
    const { copy, target } = await copied({ path, from: 2, to: 7 });
    expect(copy).toEqual({ path: 'part.npy' });
    const bytes = await readFile(join(target, 'part.npy'));
    // 128 bytes of header, then 5 rows of 3 floats.
    expect(bytes.length).toBe(128 + 5 * 3 * 4);
    const again = await copied({ path, from: 2, to: 7 });
    expect(await readFile(join(again.target, 'part.npy'))).toEqual(bytes);
    await copied({ path });
  });

  test('.npz: every array with its labels; what is too short for an input is left out', async () => {
    const path = join(folder, 'x.npz');
    const labels = Int32Array.from({ length: 10 }, (_, at) => at);
    await writeFile(
      path,
      npz({
        x: npy('<f4', [10, 3], values),
        labels: npy('<i4', [10], labels),
        note: npy('|u1', [1], Uint8Array.of(7)),
      }),
    );
    const { target } = await copied({ path, from: 4, to: 9 });
    const text = (await readFile(join(target, 'part.npz'))).toString('latin1');
    expect(text).toContain('x.npy');
    expect(text).not.toContain('note.npy');
  });

  test('rows that are not there are refused', async () => {
    const path = join(folder, 'short.npy');
    await writeFile(path, npy('<f4', [10, 3], values));
    const target = { folder, name: 'never' };
    await expect(copySubset({ path, from: 5, to: 11 }, {}, target)).rejects.toMatchObject({
      code: 'range',
      message: 'short.npy: from 5 to 11 is outside its 10 samples',
    });
  });
});

describe('folders', () => {
  test('raw files by name; other files stay behind', async () => {
    const path = join(folder, 'raw');
    await mkdir(path);
    for (const at of [0, 1, 2, 3]) {
      // oxlint-disable-next-line no-await-in-loop -- four small files
      await writeFile(join(path, `s${at}.bin`), new Uint8Array(Float32Array.of(at, 1, 2).buffer));
    }
    await writeFile(join(path, 'readme.txt'), 'no sample');
    const { target } = await copied({ path, from: 1, to: 3 });
    expect(await readdir(join(target, 'part'))).toEqual(['s1.bin', 's2.bin']);
  });

  test('labels keep their order, their names with commas, and what has none', async () => {
    const path = join(folder, 'labelled');
    await mkdir(join(path, 'sub'), { recursive: true });
    const names = ['z.bin', 'a, "b".bin', 'sub/c.bin', 'unused.bin'];
    for (const [at, name] of names.entries()) {
      // oxlint-disable-next-line no-await-in-loop -- four small files
      await writeFile(join(path, name), new Uint8Array(Float32Array.of(at, 1, 2).buffer));
    }
    await writeFile(
      join(path, 'labels.csv'),
      'file,label\nz.bin,4\n"a, ""b"".bin",\nsub/c.bin,2\nunused.bin,1\n',
    );
    const { target } = await copied({ path, from: 0, to: 3 });
    expect(await readFile(join(target, 'part/labels.csv'), 'utf8')).toBe(
      'file,label\n"z.bin",4\n"a, ""b"".bin",-1\n"sub/c.bin",2\n',
    );
    expect((await readdir(join(target, 'part'))).toSorted()).toEqual([
      'a, "b".bin',
      'labels.csv',
      'sub',
      'z.bin',
    ]);
  });

  test('sound: the files that hold the windows, counted anew', async () => {
    const path = join(folder, 'sounds');
    await mkdir(path);
    // Windows of 4: two, three and one of them.
    for (const [name, length] of [
      ['a', 8],
      ['b', 12],
      ['c', 4],
    ] as const) {
      const frames = Float32Array.from({ length }, (_, at) => (at + length) / 64);
      // oxlint-disable-next-line no-await-in-loop -- three small files
      await writeFile(join(path, `${name}.wav`), wavFile(frames));
    }
    const inputs = { x: { audio: { rateHz: 16_000, windowSamples: 4 } } };
    const description: SessionDescription = {
      inputs: [{ name: 'x', dtype: 'float32', shape: [1, 4] }],
      outputs: [],
    };
    const { copy, target } = await copied({ path, from: 3, to: 6, inputs, description });
    expect(copy).toEqual({ path: 'part', from: 1, to: 4 });
    expect(await readdir(join(target, 'part'))).toEqual(['b.wav', 'c.wav']);
  });
});

/** 16-bit mono at 16 kHz. */
function wavFile(frames: Float32Array): Buffer {
  const head = Buffer.alloc(44);
  head.write('RIFF', 0, 'latin1');
  head.writeUInt32LE(36 + frames.length * 2, 4);
  head.write('WAVEfmt ', 8, 'latin1');
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(16_000, 24);
  head.writeUInt32LE(32_000, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write('data', 36, 'latin1');
  head.writeUInt32LE(frames.length * 2, 40);
  const data = Buffer.alloc(frames.length * 2);
  for (const [at, value] of frames.entries()) data.writeInt16LE(Math.round(value * 32_767), at * 2);
  return Buffer.concat([head, data]);
}
