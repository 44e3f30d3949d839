// @ts-check
// Makes package-lock.json name every optional package, also those that the registry in use does not
// serve. A mirror may carry the binaries of some platforms only; npm then leaves the others out of
// the lock file, and npm 11 and 12 refuse to install from a lock file with such gaps. What is added
// says for which platform a package is, so that npm skips it everywhere else. It has no checksum:
// nobody here has seen the package.
//
//   node scripts/complete-lock.js [--check]
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * @typedef {object} Entry
 * @property {string} [version]
 * @property {boolean} [dev]
 * @property {string} [license]
 * @property {Record<string, string>} [optionalDependencies]
 * @property {Record<string, string>} [engines]
 */

/** How package names end: `linux-x64-gnu`, `darwin-arm64`, `android-arm-eabi`, ... */
const PLATFORM =
  /(?<os>android|darwin|freebsd|linux|openbsd|openharmony|win32)-(?<cpu>arm64|arm|ia32|loong64|ppc64|riscv64|s390x|x64)(?:-(?<abi>[a-z]+))?$/;

const LIBC = { glibc: 'glibc', gnu: 'glibc', gnueabihf: 'glibc', musl: 'musl', musleabihf: 'musl' };

const path = join(dirname(import.meta.dirname), 'package-lock.json');
/** @type {{ packages: Record<string, Entry> }} */
const lock = JSON.parse(readFileSync(path, 'utf8'));

/**
 * Optional packages that an entry names and that are nowhere above it in the tree.
 * @param {string} at
 * @param {Entry} entry
 */
function gapsOf(at, entry) {
  return Object.entries(entry.optionalDependencies ?? {})
    .filter(([name]) => !placesOf(at, name).some((place) => lock.packages[place] !== undefined))
    .map(([name, version]) => /** @type {const} */ ([name, entryFor(name, version, entry)]));
}

/**
 * Where Node.js would look for a package, seen from another one.
 * @param {string} at
 * @param {string} name
 */
function placesOf(at, name) {
  const parents = at.split(/(?:^|\/)node_modules\//);
  return parents.map((_, depth) => {
    const home = parents.slice(1, parents.length - depth).map((one) => `node_modules/${one}`);
    return [...home, `node_modules/${name}`].join('/');
  });
}

/**
 * @param {string} name
 * @param {string} version
 * @param {Entry} parent
 */
function entryFor(name, version, parent) {
  const groups = PLATFORM.exec(name)?.groups;
  if (groups === undefined || !/^\d+\.\d+\.\d+$/.test(version)) {
    throw new Error(`${name}@${version} is missing, and its name does not say for which platform`);
  }
  const { os = '', cpu = '', abi = '' } = groups;
  const libc = Object.entries(LIBC).find(([suffix]) => os === 'linux' && suffix === abi)?.[1];
  return {
    version,
    cpu: [cpu],
    ...(parent.dev === true && { dev: true }),
    ...(libc !== undefined && { libc: [libc] }),
    ...(parent.license !== undefined && { license: parent.license }),
    optional: true,
    os: [os],
    ...(parent.engines !== undefined && { engines: parent.engines }),
  };
}

const gaps = Object.entries(lock.packages).flatMap(([at, entry]) => gapsOf(at, entry));
if (process.argv.includes('--check')) {
  for (const [name] of gaps) console.error(`package-lock.json lacks ${name}: run npm run lock`);
  process.exitCode = gaps.length === 0 ? 0 : 1;
} else {
  for (const [name, entry] of gaps) lock.packages[`node_modules/${name}`] = entry;
  const inOrder = Object.entries(lock.packages).toSorted(([a], [b]) => a.localeCompare(b, 'en'));
  lock.packages = Object.fromEntries(inOrder);
  writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`package-lock.json: ${gaps.length} optional packages added`);
}
