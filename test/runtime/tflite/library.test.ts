import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { findTfliteLibrary, openTflite } from '../../../agent/runtime/tflite/library.ts';
import { libraryPlaces, vendoredLibrary } from '../../../agent/runtime/tflite/places.ts';
import { makeSysroot, putFile, removeSysroots } from '../../support/sysroot.ts';

afterAll(removeSysroots);

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

test('the library that comes with edgefit is there, and loads', async () => {
  expect(existsSync(vendoredLibrary())).toBe(true);
  const found = await findTfliteLibrary({ env: {}, root: makeSysroot({}) });
  expect(found).toEqual({
    library: { origin: 'vendored', path: vendoredLibrary(), version: '2.9.0' },
    skipped: [],
  });
});

test("passes over what is no such library, and takes the system's before our own", async () => {
  const root = makeSysroot({ '/usr/lib/libtensorflow-lite.so': 'not a library' });
  mkdirSync(join(root, 'usr/local/lib'), { recursive: true });
  const good = join(root, 'usr/local/lib/libtensorflowlite_c.so');
  copyFileSync(vendoredLibrary(), good);
  const { library, skipped } = await findTfliteLibrary({ env: {}, root });
  expect(library).toEqual({ origin: 'system', path: good, version: '2.9.0' });
  expect(skipped).toEqual([
    {
      origin: 'system',
      path: join(root, 'usr/lib/libtensorflow-lite.so'),
      why: expect.stringMatching(/file too short|invalid ELF header/),
    },
  ]);
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
