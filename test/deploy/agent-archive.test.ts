import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  describeArchive,
  unpackArchive,
  unpackedBytes,
} from '../../agent/deploy/agents/archive.ts';
import { checkRoom } from '../../agent/deploy/disk-room.ts';
import { publishAgent } from '../../agent/deploy/agents/publish.ts';
import { readRepository } from '../../agent/deploy/tuf/repository.ts';
import { tar } from '../daemon/agent-archives.ts';
import { Fixture } from './support/fixture.ts';

let folder: string;
let home: string;
let archive: string;
const signal = new AbortController().signal;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'edgefit-archive-'));
  home = join(folder, 'home');
  archive = join(folder, 'agent.tar.gz');
  describeAs('1.2.3');
  put('dist/agent/cli/main.js', 'console.log(1)');
  put(`node_modules/${'deep/'.repeat(20)}${'x'.repeat(60)}.js`, 'y'.repeat(5000));
  writeFileSync(join(home, 'node'), 'n', { mode: 0o755 });
});

afterEach(() => rmSync(folder, { recursive: true }));

function put(name: string, content: string): void {
  mkdirSync(dirname(join(home, name)), { recursive: true });
  writeFileSync(join(home, name), content);
}

function describeAs(version: string, platform = 'linux-x64'): void {
  put(
    'agent-package.json',
    JSON.stringify({ schema: 'edgefit/agent-package/1', version, platform }),
  );
}

/** Changes the header of the entry of this name, and makes its sum right again. */
function forge(name: string, change: (header: Buffer) => void): void {
  const bytes = gunzipSync(readFileSync(archive));
  const at = bytes.indexOf(`./${name}\0`);
  const header = bytes.subarray(at, at + 512);
  change(header);
  header.fill(' ', 148, 156);
  const sum = header.reduce((all, byte) => all + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  writeFileSync(archive, gzipSync(bytes));
}

test('what tar packs comes out again, bytes and execute bits', async () => {
  tar(home, archive);
  expect(await describeArchive(archive)).toMatchObject({ version: '1.2.3', platform: 'linux-x64' });
  const target = join(folder, 'out');
  await unpackArchive(archive, target, signal);
  const names = async (at: string) => (await readdir(at, { recursive: true })).toSorted();
  expect(await names(target)).toEqual(await names(home));
  const deep = `node_modules/${'deep/'.repeat(20)}${'x'.repeat(60)}.js`;
  expect(readFileSync(join(target, deep), 'utf8')).toBe('y'.repeat(5000));
  expect(statSync(join(target, 'node')).mode & 0o777).toBe(0o700);
  expect(statSync(join(target, deep)).mode & 0o777).toBe(0o600);
});

test('what it takes on the disk is known before, and refused where there is no room', async () => {
  tar(home, archive);
  const bytes = await unpackedBytes(archive);
  await unpackArchive(archive, join(folder, 'out'), signal);
  const used = Number(
    execFileSync('du', ['-sB1', join(folder, 'out')], { encoding: 'utf8' }).split('\t')[0],
  );
  // The folders of 21 levels come on top.
  expect(bytes).toBeGreaterThan(5000);
  expect(used - bytes).toBeLessThan(30 * 4096);
  await expect(checkRoom(join(folder, 'agent'), bytes)).resolves.toBeUndefined();
  await expect(checkRoom(join(folder, 'agent'), 2 ** 60)).rejects.toMatchObject({
    code: 'ENOSPC',
    message: expect.stringContaining('no space left'),
  });
});

test.each<readonly [string, () => void, string]>([
  ['a link', () => symlinkSync('/etc/passwd', join(home, 'link')), 'neither a file nor a folder'],
  ['no description', () => rmSync(join(home, 'agent-package.json')), 'no agent-package.json'],
  ['no program', () => rmSync(join(home, 'dist'), { recursive: true }), 'main.js in it'],
  ['another platform', () => describeAs('1.2.3', 'linux-riscv64'), 'platform'],
  ['a version that is a path', () => describeAs('../1'), 'version'],
])('%s is refused', async (_what, change, message) => {
  change();
  tar(home, archive);
  await expect(describeArchive(archive)).rejects.toMatchObject({
    code: 'BAD_PACKAGE',
    message: expect.stringContaining(message),
  });
});

test.each<readonly [string, (header: Buffer) => void, string]>([
  ['leads above', (header) => header.write('../n', 0), 'leads out'],
  ['leads to the root', (header) => header.write('/nod', 0), 'leads out'],
  ['is a device', (header) => header.write('3', 156), 'neither a file nor a folder'],
  ['is larger than the archive', (header) => header.write('00000777777\0', 124), 'in the middle'],
  ['is larger than any agent', (header) => header.write('77777777777\0', 124), 'unpacks to more'],
  ['has a strange size', (header) => header.write('-1', 124), 'not octal'],
])('an entry that %s is refused, and writes nothing outside', async (_what, change, message) => {
  tar(home, archive);
  forge('node', change);
  await expect(unpackArchive(archive, join(folder, 'out'), signal)).rejects.toMatchObject({
    code: 'BAD_PACKAGE',
    message: expect.stringContaining(message),
  });
  expect((await readdir(folder)).toSorted()).toEqual(['agent.tar.gz', 'home', 'out']);
});

test.each<readonly [string, (bytes: Buffer) => Buffer]>([
  ['cut off', (bytes) => bytes.subarray(0, bytes.length / 2)],
  ['of another kind', () => Buffer.from('PK\u0003\u0004 no gzip at all')],
  ['empty', () => Buffer.alloc(0)],
  ['gzipped noise', () => gzipSync(Buffer.alloc(4096, 'abc'))],
])('an archive that is %s is refused', async (_what, change) => {
  tar(home, archive);
  writeFileSync(archive, change(readFileSync(archive)));
  await expect(describeArchive(archive)).rejects.toMatchObject({ code: 'BAD_PACKAGE' });
});

test('archives of one version share its release, another archive of it is refused', async () => {
  const fixture = new Fixture();
  await fixture.start();
  const options = { ...fixture.options(), archive };
  tar(home, archive);
  expect(await publishAgent(options)).toMatchObject({ version: '1.2.3', releaseCounter: 1 });
  describeAs('1.3.0');
  tar(home, archive);
  expect(await publishAgent(options)).toMatchObject({ version: '1.3.0', releaseCounter: 2 });
  expect(await publishAgent(options)).toMatchObject({ version: '1.3.0', releaseCounter: 2 });
  describeAs('1.2.3', 'linux-arm64');
  tar(home, archive);
  expect(await publishAgent(options)).toMatchObject({ platform: 'linux-arm64', releaseCounter: 1 });
  put('more.js', '');
  tar(home, archive);
  await expect(publishAgent(options)).rejects.toMatchObject({ code: 'EXISTS' });
  describeAs('1.4.0');
  tar(home, archive);
  await expect(publishAgent({ ...options, releaseCounter: 2 })).rejects.toThrow('not above 2');
  const { targets } = (await readRepository(fixture.repository)).targets.signed;
  expect(Object.keys(targets)).toContain('agents/1.2.3/linux-arm64.tar.gz');
  await fixture.stop();
});
