import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Slots } from '../../../agent/deploy/slots/slots.ts';

let folder: string;
let slots: Slots;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgefit-slots-'));
  slots = new Slots(join(folder, 'models'), 'kws');
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function stage(version: string) {
  const source = join(folder, `made-${version}`);
  await mkdir(join(source, 'labels'), { recursive: true });
  await writeFile(join(source, 'model.onnx'), `weights of ${version}`);
  await writeFile(join(source, 'labels', 'names.txt'), 'yes\nno\n');
  return slots.stage(source, {
    model: 'kws',
    version,
    releaseCounter: Number(version),
    file: 'model.onnx',
    precision: 'int8',
    runtime: 'onnxruntime',
  });
}

const read = (link: string) => readFile(join(link, 'model.onnx'), 'utf8');

test('current follows each activation, previous what ran before', async () => {
  const [first, second] = [await stage('1'), await stage('2')];
  await slots.activate(first.digest);
  expect([await slots.current(), await slots.previous()]).toEqual([first.digest, null]);
  await slots.activate(second.digest);
  expect(await read(slots.currentLink)).toBe('weights of 2');
  expect(await read(slots.previousLink)).toBe('weights of 1');
  await slots.restore(first.digest, null);
  expect(await read(slots.currentLink)).toBe('weights of 1');
});

test('staging the same files twice is one release', async () => {
  const first = await stage('1');
  expect((await stage('1')).digest).toBe(first.digest);
  expect(await readdir(join(slots.folder, 'releases'))).toEqual([first.digest]);
  expect((await readdir(folder)).toSorted()).toEqual(['models']);
});

test.each([
  ['a changed byte', (path: string) => writeFile(path, 'weights of X')],
  ['a missing file', (path: string) => rm(path)],
])('a release with %s is not activated', async (_, damage) => {
  const first = await stage('1');
  await slots.activate(first.digest);
  const second = await stage('2');
  await damage(join(slots.releaseFolder(second.digest), 'model.onnx'));
  await expect(slots.activate(second.digest)).rejects.toMatchObject({ code: 'release_incomplete' });
  expect(await slots.current()).toBe(first.digest);
});

test('releases that no link names are removed, those in use stay', async () => {
  const releases = [await stage('1'), await stage('2'), await stage('3')];
  for (const { digest } of releases.slice(0, 2)) {
    // oxlint-disable-next-line no-await-in-loop -- in this order
    await slots.activate(digest);
  }
  await slots.collect();
  const left = await readdir(join(slots.folder, 'releases'));
  expect(left.toSorted()).toEqual(
    releases
      .slice(0, 2)
      .map(({ digest }) => digest)
      .toSorted(),
  );
});

test.each(['..', '.', 'a/b', '', 'x'.repeat(65)])('%j cannot name a model', (name) => {
  expect(() => new Slots(folder, name)).toThrow(expect.objectContaining({ code: 'bad_name' }));
});
