import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import {
  checkCanWriteFile,
  checkCanWriteFolder,
  fileError,
  isSameFile,
  makeFolder,
  writeFileDurably,
  writeOutputFile,
} from '../../agent/util/files.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgefit-files-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = (...parts: readonly string[]) => join(folder, ...parts);
const file = path('file.txt');
writeFileSync(file, 'old');

describe('makeFolder', () => {
  test('makes what is missing and takes what is there', async () => {
    await makeFolder(path('a/b/c'));
    await makeFolder(path('a/b/c'));
    expect(statSync(path('a/b/c')).isDirectory()).toBe(true);
  });

  test('two at once', async () => {
    await Promise.all([makeFolder(path('x/y/z')), makeFolder(path('x/y/z'))]);
    expect(existsSync(path('x/y/z'))).toBe(true);
  });

  test('ends where the file system takes no folders', async () => {
    await expect(makeFolder('/proc/edgefit/a/b')).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('refuses to go through a file', async () => {
    await expect(makeFolder(join(file, 'a'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  });
});

describe('writeFileDurably', () => {
  test('writes pieces, replaces, leaves nothing else', async () => {
    const target = path('out/data.bin');
    await writeFileDurably(target, 'first');
    await writeFileDurably(target, [Uint8Array.of(1, 2), Uint8Array.of(3)]);
    expect([...readFileSync(target)]).toEqual([1, 2, 3]);
    expect(readdirSync(path('out'))).toEqual(['data.bin']);
  });

  test.each([
    ['/dev/full', 'EUNKNOWN', 'cannot write /dev/full: it is neither a file nor a folder'],
    [folder, 'EISDIR', `cannot write ${folder}: it is a folder, not a file`],
    [join(file, 'x'), 'ENOTDIR', `cannot write ${file}/x: a part of the path is not a folder`],
  ])('refuses %s', async (target, code, message) => {
    const error = { code, message, kind: 'input' };
    await expect(writeFileDurably(target, 'x')).rejects.toMatchObject(error);
    await expect(checkCanWriteFile(target)).rejects.toMatchObject(error);
    expect(statSync('/dev/full').isCharacterDevice()).toBe(true);
  });
});

describe('a symbolic link as the output', () => {
  test('stays, and what it leads to is replaced', async () => {
    mkdirSync(path('there'));
    writeFileSync(path('there/file'), 'old');
    symlinkSync('there/file', path('to-file'));
    symlinkSync('to-file', path('to-link'));
    await checkCanWriteFile(path('to-link'));
    await writeOutputFile(path('to-link'), 'new');
    expect(readFileSync(path('there/file'), 'utf8')).toBe('new');
    expect(readlinkSync(path('to-link'))).toBe('to-file');
    expect(readlinkSync(path('to-file'))).toBe('there/file');
    expect(readdirSync(path('there'))).toEqual(['file']);
  });

  test('may lead to nothing yet, and is understood from the folder it lies in', async () => {
    mkdirSync(path('far'));
    symlinkSync(path('far'), path('near'));
    symlinkSync('../made', path('far/dangling'));
    await writeOutputFile(path('near/dangling'), 'x');
    expect(readFileSync(path('made'), 'utf8')).toBe('x');
  });

  test('is refused where it leads in a circle, or below a file', async () => {
    symlinkSync('round', path('round'));
    symlinkSync(join(file, 'x'), path('below'));
    const circle = `cannot write ${path('round')}: its symbolic links lead in a circle`;
    await expect(writeOutputFile(path('round'), 'x')).rejects.toThrow(circle);
    await expect(checkCanWriteFile(path('round'))).rejects.toThrow(circle);
    await expect(checkCanWriteFile(path('below'))).rejects.toMatchObject({ code: 'ENOTDIR' });
    expect(readlinkSync(path('round'))).toBe('round');
  });
});

describe('checks before the work', () => {
  test('accept what can be made, and make nothing', async () => {
    await checkCanWriteFile(path('new/folder/file.bin'));
    await checkCanWriteFolder(path('new/folder'));
    await checkCanWriteFile(file);
    expect(existsSync(path('new'))).toBe(false);
  });

  test('refuse what means stdout to other programs', async () => {
    const message = 'cannot write -: give the name of a file (./- for one of this name)';
    await expect(checkCanWriteFile('-')).rejects.toMatchObject({ kind: 'input', message });
  });

  test('refuse a folder below a file', async () => {
    await expect(checkCanWriteFolder(join(file, 'sub'))).rejects.toMatchObject({ code: 'ENOTDIR' });
    await expect(checkCanWriteFolder(file)).rejects.toMatchObject({ code: 'ENOTDIR' });
  });
});

test('isSameFile follows links and knows what is missing', async () => {
  symlinkSync(file, path('link'));
  mkdirSync(path('other'));
  expect(await isSameFile(file, path('link'))).toBe(true);
  expect(await isSameFile(file, path('other'))).toBe(false);
  expect(await isSameFile(file, path('missing'))).toBe(false);
  expect(await isSameFile(path('missing'), path('missing'))).toBe(false);
});

test.each([
  ['ENOSPC', 'failure'],
  ['EFBIG', 'failure'],
  ['EIO', 'failure'],
  ['EACCES', 'input'],
])('whose fault %s is', (code, kind) => {
  const error = Object.assign(new Error('why'), { code });
  expect(fileError('write', '/some/file', error)).toMatchObject({ code, kind });
});
