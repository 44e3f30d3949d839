import { execFileSync } from 'node:child_process';
import { createWriteStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { readNamedFile, readNamedText } from '../../agent/util/read.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgefit-read-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);

describe('readNamedFile', () => {
  test('reads a file of exactly the length allowed, and none that is longer', async () => {
    writeFileSync(path('five'), 'five5');
    await expect(readNamedText(path('five'), 5)).resolves.toBe('five5');
    await expect(readNamedText(path('five'), 4)).rejects.toMatchObject({
      kind: 'input',
      message: `cannot read ${path('five')}: it is larger than 4 bytes`,
    });
  });

  test('ends at a device that does not', async () => {
    await expect(readNamedFile('/dev/zero', 1000)).rejects.toThrow('larger than 1000 bytes');
  });

  test('reads a pipe', async () => {
    execFileSync('mkfifo', [path('pipe')]);
    const read = readNamedText(path('pipe'));
    createWriteStream(path('pipe')).end('from a command');
    await expect(read).resolves.toBe('from a command');
  });

  test.each([
    ['nothing', 'no such file or folder'],
    ['.', 'it is a folder, not a file'],
  ])('says why %s cannot be read', async (name, why) => {
    const message = `cannot read ${path(name)}: ${why}`;
    await expect(readNamedFile(path(name))).rejects.toMatchObject({ kind: 'input', message });
  });
});
