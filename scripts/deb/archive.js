// @ts-check
// From a folder to a .deb: modes, times, checksums, control files.
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, lstatSync, lutimesSync, mkdirSync, readFileSync } from 'node:fs';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { must } from '../install/toolchain.js';
import { CONFFILES, controlFile, installedKib } from './control.js';

const PROGRAMS = new Set(['usr/lib/edgefit/node', 'usr/lib/edgefit/bin/edgefit']);
const SCRIPTS = ['postinst', 'prerm', 'postrm'];

/** @param {string} target */
function entriesOf(target) {
  const paths = readdirSync(target, { recursive: true, encoding: 'utf8' }).toSorted();
  return paths.map((path) => {
    const status = lstatSync(join(target, path));
    /** @type {'folder' | 'link' | 'file'} */
    const kind = status.isDirectory() ? 'folder' : status.isSymbolicLink() ? 'link' : 'file';
    return { path, kind, bytes: status.size };
  });
}

/**
 * @param {string} target the files of the package
 * @param {{ root: string, version: string, architecture: string, description: string,
 *   epochSeconds: number, compression: string, output: string }} options
 * @returns {{ sizeKib: number }}
 */
export function makeArchive(target, options) {
  const { root, version, architecture, description, epochSeconds, compression, output } = options;
  const entries = entriesOf(target);
  const sizeKib = installedKib(entries);
  const control = join(target, 'DEBIAN');
  mkdirSync(control);
  writeFileSync(
    join(control, 'control'),
    controlFile({ version, architecture, sizeKib, description }),
  );
  writeFileSync(join(control, 'conffiles'), CONFFILES);
  const files = entries.filter(({ kind, path }) => kind === 'file' && !path.startsWith('etc/'));
  writeFileSync(join(control, 'md5sums'), files.map(({ path }) => checksum(target, path)).join(''));
  for (const name of SCRIPTS) copyFileSync(join(root, 'scripts/deb', name), join(control, name));
  settle(target, epochSeconds);
  const flags = ['--root-owner-group', '--uniform-compression', `-Z${compression}`];
  process.env['SOURCE_DATE_EPOCH'] = String(epochSeconds);
  must('dpkg-deb', [...flags, '--build', target, output]);
  return { sizeKib };
}

/**
 * @param {string} target
 * @param {string} path
 */
function checksum(target, path) {
  const sum = createHash('md5')
    .update(readFileSync(join(target, path)))
    .digest('hex');
  return `${sum}  ${path}\n`;
}

/**
 * The same modes and times whoever builds it, and when.
 * @param {string} target
 * @param {number} epochSeconds
 */
function settle(target, epochSeconds) {
  for (const { path, kind } of entriesOf(target)) {
    const isProgram = PROGRAMS.has(path) || SCRIPTS.some((name) => path === `DEBIAN/${name}`);
    if (kind !== 'link')
      chmodSync(join(target, path), kind === 'folder' || isProgram ? 0o755 : 0o644);
  }
  for (const path of ['', ...entriesOf(target).map((entry) => entry.path)]) {
    const file = join(target, path);
    lutimesSync(file, epochSeconds, epochSeconds);
  }
  chmodSync(target, 0o755);
}
