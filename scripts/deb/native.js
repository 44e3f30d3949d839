// @ts-check
// What the native files of the package need from the system must be what its control file promises.
import { readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { GLIBC_MINOR, LIBSTDCXX } from './control.js';
import { elfMachine, libstdcxxOf, neededVersions } from './elf.js';

/** Without it everything but TFLite works, and `agent doctor` says what it lacks. */
const OPTIONAL = 'vendor/tflite/';

/**
 * @typedef {object} NativeFile
 * @property {string} path
 * @property {number} bytes
 * @property {number} machine
 * @property {number} glibcMinor
 * @property {number} libstdcxx
 */

/**
 * @param {string} home
 * @returns {NativeFile[]} every ELF file below it
 */
export function nativeFiles(home) {
  const entries = readdirSync(home, { recursive: true, withFileTypes: true });
  return entries.flatMap((entry) => {
    if (!entry.isFile()) return [];
    const file = join(entry.parentPath, entry.name);
    const content = readFileSync(file);
    const machine = elfMachine(content);
    if (machine === null) return [];
    const { glibcMinor, glibcxx } = neededVersions(content);
    const needs = { glibcMinor, libstdcxx: libstdcxxOf(glibcxx) };
    return [{ path: relative(home, file), bytes: content.length, machine, ...needs }];
  });
}

/**
 * @param {readonly NativeFile[]} files
 * @param {import('./platforms.js').Platform} platform
 * @returns {string[]} what is wrong
 */
export function nativeProblems(files, platform) {
  return files.flatMap(({ path, machine, glibcMinor, libstdcxx }) => {
    if (machine !== platform.elfMachine) return [`${path} is for another machine (${machine})`];
    if (path.startsWith(OPTIONAL)) return [];
    if (glibcMinor > GLIBC_MINOR)
      return [`${path} needs glibc 2.${glibcMinor}, not 2.${GLIBC_MINOR}`];
    if (libstdcxx > LIBSTDCXX) return [`${path} needs libstdc++6 ${libstdcxx}, not ${LIBSTDCXX}`];
    return [];
  });
}
