// Everything this room knows comes through one file tree: `/` on the machine itself, or a folder
// with a recording of another one. A recording is read like a chroot, because recordings keep the
// absolute links of /sys: a link must never lead to the files of the machine that reads it.
import { constants } from 'node:fs';
import { access, open, readdir, readlink, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { codeOf, messageOf } from '../util/errors.ts';
import { HardwareError } from './error.ts';

/** 512 cores of x86 cpuinfo are about 1 MB; nothing else we read is near that. */
const MAX_FILE_BYTES = 8 * 1024 * 1024;
const MAX_LINKS = 40;
const READ_AND_WRITE = constants.R_OK | constants.W_OK;

/** A readable file tree. Paths are absolute, as on the machine that it describes. */
export interface Tree {
  /** True for the machine we run on, false for a recording. */
  readonly live: boolean;
  /** Content of a regular file; rejects with the system's error code (`ENOENT`, `EAGAIN`...). */
  readText(path: string): Promise<string>;
  /** Names in a folder, in natural order (`zone2` before `zone10`). */
  list(path: string): Promise<readonly string[]>;
  exists(path: string): Promise<boolean>;
  /** Where the file really is; for reading it again and again. */
  locate(path: string): Promise<string>;
  /** Whether this process may use the file; in a recording, whether it is there: modes are lost. */
  writable(path: string): Promise<boolean>;
}

/** Opens the machine itself (no root) or a recording. Raises a HardwareError for a bad root. */
export async function openTree(root: string | undefined): Promise<Tree> {
  if (root === undefined) return treeAt((path) => Promise.resolve(path), true);
  const base = resolve(root);
  await checkFolder(root, base);
  return treeAt((path) => resolveInside(base, path), false);
}

async function checkFolder(given: string, base: string): Promise<void> {
  const why = given === '' ? 'no folder is given' : await problemOf(base);
  if (why === null) return;
  const message = `cannot read the machine under ${given || '""'}: ${why}; --root takes a folder that holds proc and sys`;
  throw new HardwareError('ROOT_NOT_A_FOLDER', message);
}

async function problemOf(folder: string): Promise<string | null> {
  try {
    if (!(await stat(folder)).isDirectory()) return 'it is not a folder';
    const names = await readdir(folder);
    return names.includes('proc') || names.includes('sys') ? null : 'it holds neither';
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? 'no such folder' : messageOf(error);
  }
}

function treeAt(locate: (path: string) => Promise<string>, live: boolean): Tree {
  return {
    live,
    locate,
    readText: async (path) => readRegularFile(await locate(path)),
    list: async (path) => (await readdir(await locate(path))).toSorted(naturalOrder),
    exists: async (path) => succeeds(async () => access(await locate(path))),
    writable: async (path) =>
      succeeds(async () => access(await locate(path), live ? READ_AND_WRITE : constants.F_OK)),
  };
}

async function succeeds(action: () => Promise<void>): Promise<boolean> {
  try {
    await action();
    return true;
  } catch {
    // The question was only whether it works.
    return false;
  }
}

/** Follows links by hand: an absolute target starts again at `base`, `..` never leaves it. */
async function resolveInside(base: string, path: string): Promise<string> {
  let pending = path.split('/');
  let at: string[] = [];
  for (let links = 0; pending.length > 0;) {
    const [part = '', ...rest] = pending;
    pending = rest;
    if (part === '' || part === '.') continue;
    if (part === '..') {
      at = at.slice(0, -1);
      continue;
    }
    // oxlint-disable-next-line no-await-in-loop -- every step depends on the one before
    const target = await linkTarget(join(base, ...at, part));
    if (target === null) {
      at = [...at, part];
      continue;
    }
    links += 1;
    if (links > MAX_LINKS) throw systemError('ELOOP', `too many links in ${path}`);
    if (target.startsWith('/')) at = [];
    pending = [...target.split('/'), ...pending];
  }
  return join(base, ...at);
}

async function linkTarget(path: string): Promise<string | null> {
  try {
    return await readlink(path);
  } catch (error) {
    if (codeOf(error) === 'EINVAL') return null;
    throw error;
  }
}

async function readRegularFile(path: string): Promise<string> {
  // Non-blocking, so that a pipe in a recording cannot hang the probe before it is refused.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const kind = await file.stat();
    if (kind.isDirectory()) throw systemError('EISDIR', 'it is a folder, not a file');
    if (!kind.isFile()) throw systemError('ENOTREG', 'it is not a regular file');
    return await readToEnd(file);
  } finally {
    await file.close();
  }
}

/** Files of /proc and /sys lie about their size, so this reads until the end. */
async function readToEnd(file: Awaited<ReturnType<typeof open>>): Promise<string> {
  const chunks: Buffer[] = [];
  for (let total = 0; total <= MAX_FILE_BYTES;) {
    const chunk = Buffer.alloc(64 * 1024);
    // oxlint-disable-next-line no-await-in-loop -- one read follows the other
    const { bytesRead } = await file.read(chunk, 0, chunk.length, null);
    if (bytesRead === 0) return Buffer.concat(chunks).toString('utf8');
    chunks.push(chunk.subarray(0, bytesRead));
    total += bytesRead;
  }
  throw systemError('EFBIG', `it is larger than ${MAX_FILE_BYTES} bytes`);
}

function systemError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

function naturalOrder(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}
