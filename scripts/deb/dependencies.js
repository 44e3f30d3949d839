// @ts-check
// The dependencies that the program runs with, for another platform than this one if need be.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { must } from '../install/toolchain.js';

/**
 * @param {string} root the repository
 * @param {string} folder where node_modules is made
 * @param {import('./platforms.js').Platform} platform
 * @returns {string} the node_modules
 */
export function installDependencies(root, folder, platform) {
  mkdirSync(folder, { recursive: true });
  for (const file of ['package.json', 'package-lock.json', '.npmrc']) {
    copyFileSync(join(root, file), join(folder, file));
  }
  const asked = ['--os=linux', `--cpu=${platform.cpu}`, '--libc=glibc'];
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline'];
  const parameters = ['ci', '--omit=dev', '--ignore-scripts', ...asked, ...quiet];
  must('npm', ['--prefix', folder, ...parameters]);
  return join(folder, 'node_modules');
}

/**
 * Removes the symbol table, as Debian does with every program: debuggers want it, nothing else does.
 * @param {string} file
 * @param {import('./platforms.js').Platform} platform
 * @returns {boolean} false where this machine has no tool for that platform
 */
export function strip(file, platform) {
  const native = process.arch === platform.cpu ? ['strip'] : [];
  for (const tool of [`${platform.triplet}-strip`, 'llvm-strip', ...native]) {
    const result = spawnSync(tool, ['--strip-all', file], { encoding: 'utf8' });
    if (result.status === 0 && existsSync(file)) return true;
    if (result.error === undefined) throw new Error(`${tool} failed: ${result.stderr.trim()}`);
  }
  return false;
}
