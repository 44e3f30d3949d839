// @ts-check
// The agent as it would be installed on an arm64 machine: packed, with the dependencies of the
// lockfile for that platform.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './run.js';

const STAMP = 'installed-from';

/**
 * Packs this checkout (which builds it) and installs it. Dependencies are installed again only when
 * the lockfile has changed.
 * @param {string} checkout
 * @param {string} cache
 * @returns {Promise<string>} the folder of the package
 */
export async function installPackage(checkout, cache) {
  const folder = join(cache, 'agent');
  const fresh = `${folder}.new`;
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { recursive: true });
  await unpack(checkout, fresh);
  const lock = join(checkout, 'package-lock.json');
  await copyFile(lock, join(fresh, 'package-lock.json'));
  const wanted = createHash('sha256')
    .update(await readFile(lock))
    .digest('hex');
  const modules = join(folder, 'node_modules');
  if (existsSync(modules) && (await readFile(join(folder, STAMP), 'utf8')) === wanted) {
    await rename(modules, join(fresh, 'node_modules'));
  } else {
    const platform = ['--os=linux', '--cpu=arm64', '--libc=glibc'];
    const quiet = ['--no-audit', '--no-fund', '--ignore-scripts'];
    await run('npm', ['ci', '--omit=dev', ...platform, ...quiet], { cwd: fresh });
  }
  await writeFile(join(fresh, STAMP), wanted);
  await rm(folder, { recursive: true, force: true });
  await rename(fresh, folder);
  return folder;
}

/**
 * @param {string} checkout
 * @param {string} folder
 */
async function unpack(checkout, folder) {
  const printed = await run('npm', ['pack', '--silent', '--pack-destination', folder], {
    cwd: checkout,
  });
  const archive = join(folder, printed.trim().split('\n').at(-1) ?? '');
  await run('tar', ['-xzf', archive, '-C', folder, '--strip-components=1']);
  await rm(archive);
}
