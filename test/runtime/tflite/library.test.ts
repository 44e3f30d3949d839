import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { findTfliteLibrary, openTflite } from '../../../agent/runtime/tflite/library.ts';
import { libraryPlaces, vendoredLibrary } from '../../../agent/runtime/tflite/places.ts';
import { openSession } from '../../../agent/runtime/tflite/session.ts';
import { makeSysroot, putFile, removeSysroots } from '../../support/sysroot.ts';
import { type TinyTflite, tinyTflite } from '../../support/tiny-tflite.ts';

afterAll(removeSysroots);

/** y = x + x */
const ADD: TinyTflite = {
  tensors: [
    { name: 'x', shape: [2] },
    { name: 'y', shape: [2] },
  ],
  inputs: [0],
  outputs: [1],
  ops: [{ op: 'add', inputs: [0, 0], outputs: [1] }],
};

const TRIPLET = process.arch === 'x64' ? 'x86_64-linux-gnu' : 'aarch64-linux-gnu';

test('looks at the configured one only, else at the system and then at our own', () => {
  const root = makeSysroot({
    [`/usr/lib/${TRIPLET}/libtensorflow-lite.so.2.14.1`]: '',
    [`/usr/lib/${TRIPLET}/libtensorflow-lite.so`]: '',
    [`/usr/lib/${TRIPLET}/libtensorflow-lite-other.so`]: '',
    '/usr/local/lib/libtensorflowlite_c.so': '',
    '/opt/tflite/libtensorflowlite_c.so.2': '',
    '/etc/ld.so.conf.d/tflite.conf': '# ours\n/opt/tflite\n',
    '/home/libtensorflowlite_c.so': '',
  });
  const env = { LD_LIBRARY_PATH: join(root, 'home') };
  const vendored = '/where/it/is.so';
  const places = libraryPlaces({ env, root, vendored });
  expect(places.map(({ origin, path }) => `${origin} ${path.replace(root, '')}`)).toEqual([
    'system /home/libtensorflowlite_c.so',
    'system /opt/tflite/libtensorflowlite_c.so.2',
    'system /usr/local/lib/libtensorflowlite_c.so',
    `system /usr/lib/${TRIPLET}/libtensorflow-lite.so`,
    `system /usr/lib/${TRIPLET}/libtensorflow-lite.so.2.14.1`,
    `vendored ${vendored}`,
  ]);
  const configured = { ...env, EDGEFIT_TFLITE_LIBRARY: '/my/own.so' };
  expect(libraryPlaces({ env: configured, root, vendored })).toEqual([
    { origin: 'configured', path: '/my/own.so' },
  ]);
});

test('a library under several names is looked at once', () => {
  const folder = `/usr/lib/${TRIPLET}`;
  const root = makeSysroot({ [`${folder}/libtensorflow-lite.so.2.14.1`]: '' });
  symlinkSync('libtensorflow-lite.so.2.14.1', join(root, folder, 'libtensorflow-lite.so'));
  symlinkSync('nothing.so', join(root, folder, 'libtensorflowlite_c.so'));
  symlinkSync('usr/lib', join(root, 'lib'));
  const places = libraryPlaces({ env: {}, root, vendored: '/our/own.so' });
  expect(places.map(({ path }) => path.replace(root, ''))).toEqual([
    `${folder}/libtensorflow-lite.so`,
    `${folder}/libtensorflowlite_c.so`,
    `/lib/${TRIPLET}/libtensorflowlite_c.so`,
    '/our/own.so',
  ]);
});

test('the library that comes with edgefit is there, and loads', async () => {
  expect(existsSync(vendoredLibrary())).toBe(true);
  const found = await findTfliteLibrary({ env: {}, root: makeSysroot({}) });
  expect(found).toEqual({
    library: { origin: 'vendored', path: vendoredLibrary(), version: '2.9.0', xnnpack: true },
    skipped: [],
  });
});

test("passes over what is no such library, and takes the system's before our own", async () => {
  const root = makeSysroot({ '/usr/lib/libtensorflow-lite.so': 'not a library' });
  mkdirSync(join(root, 'usr/local/lib'), { recursive: true });
  const good = join(root, 'usr/local/lib/libtensorflowlite_c.so');
  copyFileSync(vendoredLibrary(), good);
  const { library, skipped } = await findTfliteLibrary({ env: {}, root });
  expect(library).toEqual({ origin: 'system', path: good, version: '2.9.0', xnnpack: true });
  expect(skipped).toEqual([
    {
      origin: 'system',
      path: join(root, 'usr/lib/libtensorflow-lite.so'),
      why: expect.stringMatching(/file too short|invalid ELF header/),
    },
  ]);
});

/**
 * Our library with a function under another name, as if it had been built without XNNPACK. The library
 * calls it, too, and looks it up by a hash that is h * 33 + the next letter: the new name has the same.
 */
function withoutXnnpack(path: string): string {
  const bytes = readFileSync(vendoredLibrary());
  const at = bytes.indexOf('\0TfLiteXNNPackDelegateCreate\0');
  expect(at).toBeGreaterThan(0);
  bytes.write('TfLiteXNNPackDelegateDQeate', at + 1);
  writeFileSync(path, bytes);
  return path;
}

test('a library without XNNPACK is no match for our own', async () => {
  const root = makeSysroot({ '/usr/lib/other.txt': '' });
  const path = withoutXnnpack(join(root, 'usr/lib/libtensorflow-lite.so'));
  const why = 'has no XNNPACK, without which models are many times slower';
  const skipped = [{ origin: 'system', path, why }];
  const { library, skipped: passed } = await findTfliteLibrary({ env: {}, root });
  expect(library).toMatchObject({ origin: 'vendored', xnnpack: true });
  expect(passed).toEqual(skipped);
});

test('a library without XNNPACK serves where it is configured, or none is left', async () => {
  const root = makeSysroot({ '/usr/lib/other.txt': '' });
  const path = withoutXnnpack(join(root, 'usr/lib/libtensorflow-lite.so'));
  const configured = { env: { EDGEFIT_TFLITE_LIBRARY: path } };
  expect(await findTfliteLibrary(configured)).toEqual({
    library: { origin: 'configured', path, version: '2.9.0', xnnpack: false },
    skipped: [],
  });
  const vendored = join(root, 'gone.so');
  expect(await findTfliteLibrary({ env: {}, root, vendored })).toMatchObject({
    library: { origin: 'system', path, xnnpack: false },
    skipped: [{ path: vendored }],
  });
});

test('a model that runs without XNNPACK because the library has none says so', async () => {
  const root = makeSysroot({ '/add.tflite': '' });
  const path = withoutXnnpack(join(root, 'slow.so'));
  const model = join(root, 'add.tflite');
  writeFileSync(model, tinyTflite(ADD));
  const tflite = await openTflite({ env: { EDGEFIT_TFLITE_LIBRARY: path } });
  const options = { threads: 1, optimization: 'all', arena: true } as const;
  const session = openSession(tflite, model, options);
  expect(session.describe().notes).toEqual([
    "the TFLite 2.9.0 in use has no XNNPACK: it runs on TFLite's own kernels, which are many times slower ('agent doctor' says which library that is)",
  ]);
  const x = { dtype: 'float32' as const, shape: [2], data: new Float32Array([1, 2]) };
  expect((await session.run({ x }))['y']?.data).toEqual(new Float32Array([2, 4]));
  await session.close();
  const plain = openSession(tflite, model, { ...options, optimization: 'disabled' });
  expect(plain.describe().notes).toBeUndefined();
  await plain.close();
});

test('a configured library that cannot be used is an error, whatever else is there', async () => {
  const folder = makeSysroot({});
  const text = join(folder, 'text.so');
  writeFileSync(text, 'x'.repeat(4096));
  const use = (path: string) => openTflite({ env: { EDGEFIT_TFLITE_LIBRARY: path } });
  await expect(use(text)).rejects.toMatchObject({
    code: 'START_FAILED',
    message: `EDGEFIT_TFLITE_LIBRARY names a library that cannot be loaded: ${text}: invalid ELF header`,
  });
  await expect(use('/no/such.so')).rejects.toMatchObject({
    message: expect.stringContaining('/no/such.so: no such file'),
  });
});

test('without any, says where it looked and what to do', async () => {
  const root = makeSysroot({});
  const vendored = join(root, 'gone.so');
  await expect(openTflite({ env: {}, root, vendored })).rejects.toMatchObject({
    code: 'START_FAILED',
    message: `TFLite cannot be loaded: ${vendored}: not there: npm run fetch-tflite puts it there`,
  });
  putFile(root, 'gone.so', '');
  await expect(openTflite({ env: {}, root, vendored })).rejects.toMatchObject({
    message: `TFLite cannot be loaded: ${vendored}: file too short`,
  });
});
