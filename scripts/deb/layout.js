// @ts-check
// Lays the files of the package out in a folder, as they will lie on the device.
import { closeSync, copyFileSync, mkdirSync, openSync, readSync, readdirSync } from 'node:fs';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { bundledPackages, copyrightFile } from './copyright.js';
import { debianChangelog } from './control.js';
import { manPage } from './man-page.js';
import { NODE_VERSION } from './node-runtime.js';
import { isWanted } from './select-files.js';

export const HOME = 'usr/lib/edgefit';
const ELF_HEAD_BYTES = 64;

/**
 * @param {string} from
 * @param {string} to
 */
export function place(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
}

/**
 * @param {string} file
 * @param {string | Uint8Array} content
 */
function write(file, content) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
}

/**
 * @param {string} from
 * @param {string} to
 * @param {(path: string) => boolean} wanted of the path below `from`
 */
export function placeTree(from, to, wanted) {
  const entries = readdirSync(from, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = relative(from, join(entry.parentPath, entry.name));
    if (wanted(path)) place(join(from, path), join(to, path));
  }
}

/**
 * The program itself: built code, data, dependencies.
 * @param {string} root the repository, built
 * @param {string} modules its dependencies for the platform
 * @param {string} target
 * @param {import('./platforms.js').Platform} platform
 */
export function placeProgram(root, modules, target, platform) {
  const home = join(target, HOME);
  placeTree(join(root, 'dist/agent'), join(home, 'dist/agent'), (path) => !path.endsWith('.map'));
  for (const folder of ['dist/dashboard', 'demo', 'hardware-profiles', 'monitoring']) {
    placeTree(join(root, folder), join(home, folder), (path) => !path.endsWith('.md'));
  }
  for (const file of ['package.json', 'systemd/agent.yaml'])
    place(join(root, file), join(home, file));
  place(join(root, 'systemd/launcher'), join(home, 'bin/edgefit'));
  placeTree(modules, join(home, 'node_modules'), (path) =>
    isWanted(path, () => headOf(join(modules, path)), platform),
  );
}

/** @param {string} file */
function headOf(file) {
  const bytes = new Uint8Array(ELF_HEAD_BYTES);
  const descriptor = openSync(file, 'r');
  try {
    return bytes.subarray(0, readSync(descriptor, bytes));
  } finally {
    closeSync(descriptor);
  }
}

/** Where the system looks for what is ours, and what that is in `systemd/`. */
const SYSTEM_FILES = {
  'usr/lib/systemd/system/edgefit.service': 'edgefit.service',
  'usr/lib/sysusers.d/edgefit.conf': 'edgefit.sysusers',
  'usr/lib/tmpfiles.d/edgefit.conf': 'edgefit.tmpfiles',
  'usr/lib/udev/rules.d/60-edgefit.rules': 'edgefit.rules',
  'etc/edgefit/agent.yaml': 'agent.yaml',
};

/**
 * What ties the program into the system.
 * @param {string} root
 * @param {string} target
 */
export function placeSystemFiles(root, target) {
  for (const [to, from] of Object.entries(SYSTEM_FILES)) {
    place(join(root, 'systemd', from), join(target, to));
  }
  mkdirSync(join(target, 'usr/bin'), { recursive: true });
  for (const name of ['edgefit', 'agent']) {
    symlinkSync('../lib/edgefit/bin/edgefit', join(target, 'usr/bin', name));
  }
}

/**
 * Manual page, completions, copyright, changelog.
 * @param {string} root
 * @param {string} target
 * @param {{ program: import('commander').Command, completions: Record<'bash' | 'zsh' | 'fish', string>,
 *   version: string, epochSeconds: number }} made
 */
export function placeDocumentation(root, target, { program, completions, version, epochSeconds }) {
  const date = new Date(epochSeconds * 1000).toISOString().slice(0, 10);
  const share = join(target, 'usr/share');
  const manual = join(share, 'man/man1');
  write(join(manual, 'edgefit.1.gz'), gzipped(manPage(program, { version, date })));
  write(join(manual, 'agent.1.gz'), gzipped('.so man1/edgefit.1\n'));
  const bash = join(share, 'bash-completion/completions');
  write(join(bash, 'edgefit'), completions.bash);
  symlinkSync('edgefit', join(bash, 'agent'));
  write(join(share, 'zsh/vendor-completions/_edgefit'), completions.zsh);
  const fish = join(share, 'fish/vendor_completions.d');
  write(join(fish, 'edgefit.fish'), completions.fish);
  symlinkSync('edgefit.fish', join(fish, 'agent.fish'));
  const bundled = bundledPackages(join(target, HOME, 'node_modules'));
  const documents = join(share, 'doc/edgefit');
  write(join(documents, 'copyright'), copyrightFile(bundled, NODE_VERSION));
  write(join(documents, 'changelog.gz'), gzipped(debianChangelog({ version, epochSeconds })));
  write(join(documents, 'NEWS.gz'), gzipped(readFileSync(join(root, 'CHANGELOG.md'))));
}

/** @param {string | Uint8Array} content */
function gzipped(content) {
  return gzipSync(content, { level: 9 });
}
