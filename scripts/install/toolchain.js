// @ts-check
// A Node.js and an npm of a chosen version, laid out like an installation, from packages of the npm
// registry: nothing is downloaded from anywhere else.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @typedef {object} Toolchain
 * @property {string} node its version
 * @property {string} npm its version
 * @property {string} bin folder to put first in PATH
 */

/**
 * @param {string} folder where to put it; must not exist
 * @param {{ node: string, npm: string }} wanted version ranges
 * @returns {Toolchain}
 */
export function installToolchain(folder, wanted) {
  const bin = join(folder, 'bin');
  const modules = join(folder, 'lib/node_modules');
  mkdirSync(bin, { recursive: true });
  mkdirSync(modules, { recursive: true });
  unpack(`node-${process.platform}-${process.arch}@${wanted.node}`, join(folder, 'node'));
  unpack(`npm@${wanted.npm}`, join(modules, 'npm'));
  renameSync(join(folder, 'node/bin/node'), join(bin, 'node'));
  const node = versionOf(join(folder, 'node'));
  rmSync(join(folder, 'node'), { recursive: true });
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(bin, 'npm'));
  symlinkSync('../lib/node_modules/npm/bin/npx-cli.js', join(bin, 'npx'));
  return { node, npm: versionOf(join(modules, 'npm')), bin };
}

/** @param {string} folder */
function versionOf(folder) {
  /** @type {{ version: string }} */
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return manifest.version.replace(/^v/, ''); // Some node packages write v20.19.0.
}

/**
 * @param {string} spec package and version range
 * @param {string} target folder
 */
function unpack(spec, target) {
  const parcel = `${target}.pack`;
  mkdirSync(parcel, { recursive: true });
  mkdirSync(target, { recursive: true });
  const file = must('npm', ['pack', spec, '--silent', '--pack-destination', parcel])
    .split('\n')
    .at(-1);
  must('tar', ['-xzf', join(parcel, file ?? ''), '-C', target, '--strip-components=1']);
  rmSync(parcel, { recursive: true });
}

/**
 * Runs a command that has to succeed and returns what it printed.
 * @param {string} command
 * @param {readonly string[]} parameters
 */
export function must(command, parameters) {
  const result = spawnSync(command, parameters, { encoding: 'utf8' });
  if (result.status !== 0) {
    throw new Error(`${command} ${parameters.join(' ')} failed: ${result.stderr.trim()}`);
  }
  return result.stdout.trim();
}
