import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { publishPackage } from '../../agent/deploy/publish.ts';
import { targetFile } from '../../agent/deploy/tuf/layout.ts';
import { withLock } from '../../agent/deploy/tuf/lock.ts';
import {
  changeTargets,
  createRepository,
  readRepository,
  refreshTimestamp,
} from '../../agent/deploy/tuf/repository.ts';
import { Fixture } from './support/fixture.ts';

let fixture: Fixture;

beforeEach(async () => {
  fixture = new Fixture();
  await fixture.start();
});

afterEach(() => fixture.stop());

test('what stands under a hash is looked at, not only its length', async () => {
  const { repository } = fixture;
  const targets = (await readRepository(repository)).targets.signed.targets;
  const path = 'models/kws/1.0.0/samples/a.txt';
  const sha256 = targets[path]?.hashes['sha256'] ?? '';
  // The next version has a file of the same content, whose place holds other bytes.
  const next = targetFile(repository, 'models/kws/1.1.0/samples/a.txt', sha256);
  await mkdir(join(next, '..'), { recursive: true });
  await writeFile(next, 'wrong');
  await fixture.publish('1.1.0', 'first');
  expect(await readFile(next, 'utf8')).toBe('first');
  expect(await readdir(join(next, '..'))).toHaveLength(1);
});

test('releases at the same time: one waits in vain or both are in', async () => {
  const outcomes = await Promise.allSettled([
    fixture.publish('2.0.0', 'second'),
    fixture.publish('3.0.0', 'third'),
  ]);
  const kept = Object.keys((await readRepository(fixture.repository)).targets.signed.targets);
  for (const [index, version] of ['2.0.0', '3.0.0'].entries()) {
    const outcome = outcomes[index];
    const isIn = kept.includes(`models/kws/${version}/manifest.json`);
    expect(outcome).toMatchObject(
      isIn ? { status: 'fulfilled' } : { status: 'rejected', reason: { code: 'BUSY' } },
    );
  }
  expect(outcomes.some(({ status }) => status === 'fulfilled')).toBe(true);
});

test('a repository that is being changed is left alone', async () => {
  await withLock(fixture.repository, async () => {
    await expect(fixture.publish('2.0.0', 'second')).rejects.toMatchObject({ code: 'BUSY' });
  });
  expect(await fixture.publish('2.0.0', 'second')).toMatchObject({ releaseCounter: 2 });
});

test('the lock of a process that is gone does not last', async () => {
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'close');
  await writeFile(join(fixture.repository, '.lock'), `${child.pid}\n`);
  expect(await fixture.publish('2.0.0', 'second')).toMatchObject({ releaseCounter: 2 });
  expect(await readdir(fixture.repository)).not.toContain('.lock');
});

test('a folder that is no repository gets no lock', async () => {
  const folder = join(fixture.folder, 'other');
  await mkdir(folder);
  const options = { ...fixture.options(), folder, packageFolder: folder, model: 'm', version: '1' };
  await expect(publishPackage(options)).rejects.toMatchObject({ code: 'BAD_REPOSITORY' });
  expect(await readdir(folder)).toEqual([]);
});

test('with a first root of their own, signers see that the repository was replaced', async () => {
  const firstRoot = await readFile(fixture.metadata('1.root.json'));
  const options = { ...fixture.options(), firstRoot };
  await refreshTimestamp(options);
  const other = new Fixture();
  await rm(fixture.repository, { recursive: true });
  // The thief names the signer's release key beside keys of his own.
  const thief = { ...fixture.options(), keys: [...other.keys, ...fixture.keys] };
  await createRepository(thief, { ...fixture.roles, root: other.roles.root });
  await expect(changeTargets(options, {})).rejects.toMatchObject({ code: 'bad_signature' });
  await expect(refreshTimestamp(options)).rejects.toMatchObject({ code: 'bad_signature' });
});

test('a repository is never made larger than devices read', async () => {
  const before = await readRepository(fixture.repository);
  const add = Array.from({ length: 90 }, (_, index) => ({
    path: `models/kws/2.0.0/${'long'.repeat(25_000)}/${index}`,
    bytes: 1,
    sha256: '0'.repeat(64),
    releaseCounter: 2,
  }));
  await expect(changeTargets(fixture.options(), { add })).rejects.toMatchObject({
    code: 'BAD_PACKAGE',
  });
  const after = await readRepository(fixture.repository);
  expect(after.targets.signed.version).toBe(before.targets.signed.version);
});
