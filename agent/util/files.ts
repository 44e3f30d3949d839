import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { tellStep } from './durable-steps.ts';
import { AgentError, codeOf, messageOf } from './errors.ts';
import { followLinks } from './links.ts';

/** What went wrong while reading or writing a file of ours, in words a person can act on. */
export class FileError extends AgentError {
  override readonly name = 'FileError';
}

const ADVICE: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'the disk quota is used up',
  ENOTDIR: 'a part of the path is not a folder',
  EISDIR: 'it is a folder, not a file',
  EMFILE: 'too many open files',
  EFBIG: 'the file would be larger than is allowed here',
  ELOOP: 'its symbolic links lead in a circle',
  ENAMETOOLONG: 'the name is too long',
};

/** The disk's fault rather than that of the path given. */
const FAILURES: readonly string[] = ['ENOSPC', 'EDQUOT', 'EFBIG', 'EIO'];

/** Turns a system error into one line that names the path; `doing` is a verb such as "write". */
export function fileError(doing: string, path: string, error: unknown): FileError {
  const code = codeOf(error) ?? 'EUNKNOWN';
  const why = ADVICE[code] ?? messageOf(error);
  const kind = FAILURES.includes(code) ? 'failure' : 'input';
  return new FileError(code, `cannot ${doing} ${path}: ${why}`, { cause: error, kind });
}

/**
 * Makes a folder and the missing ones above it. Not by Node's `recursive`, which never ends where a
 * file system refuses new folders with ENOENT, as /proc does. Throws system errors.
 */
export async function makeFolder(folder: string): Promise<void> {
  const found = await statOf(folder);
  if (found?.isDirectory() === true) return;
  if (found !== null) throw Object.assign(new Error('it is a file'), { code: 'ENOTDIR' });
  await makeFolder(dirname(resolve(folder)));
  tellStep({ step: 'mkdir', path: folder });
  await mkdir(folder).catch((error: unknown) => {
    // Somebody else has made it meanwhile.
    if (codeOf(error) !== 'EEXIST') throw error;
  });
}

/** As makeFolder, and a power cut does not take away again what was missing. */
export async function makeFolderDurably(folder: string): Promise<void> {
  const missing: string[] = [];
  for (let at = resolve(folder); (await statOf(at)) === null; at = dirname(at)) missing.push(at);
  await makeFolder(folder);
  // oxlint-disable-next-line no-await-in-loop -- from below, one or two
  for (const one of missing) await syncNames(dirname(one));
}

async function statOf(path: string): Promise<Awaited<ReturnType<typeof stat>> | null> {
  try {
    return await stat(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

/**
 * Refuses a path that cannot become a file, so that it is known before the long work: a folder or a
 * device, or below something that is no folder or may not be written. Makes nothing. Throws FileError.
 */
export async function checkCanWriteFile(path: string): Promise<void> {
  try {
    // Elsewhere this is stdout, which has the account of what was done here.
    if (path === '-') throw new Error('give the name of a file (./- for one of this name)');
    await checkPlainFile(path);
    await checkFolder(dirname(resolve(await followLinks(path))));
  } catch (error) {
    throw fileError('write', path, error);
  }
}

/** The same for a folder that files will be written into. */
export async function checkCanWriteFolder(folder: string): Promise<void> {
  try {
    await checkFolder(resolve(folder));
  } catch (error) {
    throw fileError('write into', folder, error);
  }
}

async function checkFolder(folder: string): Promise<void> {
  const found = await statOf(folder);
  if (found === null) return checkFolder(dirname(folder));
  if (!found.isDirectory()) {
    throw Object.assign(new Error(`${folder} is not a folder`), { code: 'ENOTDIR' });
  }
  return access(folder, constants.W_OK | constants.X_OK);
}

/** Whether both paths name one existing file, links followed. */
export async function isSameFile(a: string, b: string): Promise<boolean> {
  const [first, second] = await Promise.all([statOf(a), statOf(b)]);
  return first !== null && first.dev === second?.dev && first.ino === second.ino;
}

/**
 * Refuses what is there and no plain file: a rename would replace a device (/dev/full), reading one may
 * never end, opening a pipe may never begin. Throws errors for `fileError`.
 */
export async function checkPlainFile(path: string): Promise<void> {
  const found = await statOf(path);
  if (found === null || found.isFile()) return;
  if (found.isDirectory()) throw Object.assign(new Error('it is a folder'), { code: 'EISDIR' });
  throw new Error('it is neither a file nor a folder');
}

/** A name for a file that is being written; `removeUnfinishedFiles` knows it. */
export function temporaryBeside(path: string): string {
  const unique = randomBytes(UNIQUE_BYTES).toString('hex');
  return join(dirname(path), `.${basename(path)}.${unique}.part`);
}

const UNIQUE_BYTES = 6;
const UNFINISHED = /^\..+\.[0-9a-f]{12}\.part$/;

/** Removes what writers left in a folder that were killed in the middle. Throws system errors. */
export async function removeUnfinishedFiles(folder: string): Promise<void> {
  for (const name of await namesIn(folder)) {
    // oxlint-disable-next-line no-await-in-loop -- none, or one
    if (UNFINISHED.test(name)) await rm(join(folder, name), { force: true });
  }
}

/** Names in a folder; none where there is no folder. Throws other system errors. */
export async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/**
 * Writes a file so that a reader sees either the old content or all of the new: temporary file in
 * the same folder, fsync, rename, fsync of the folder. Nothing is left behind on failure. `mode` as
 * for chmod, before the umask; default 0666.
 */
export async function writeFileDurably(
  path: string,
  content: string | Uint8Array | Iterable<Uint8Array>,
  mode?: number,
): Promise<void> {
  const temporary = temporaryBeside(path);
  try {
    await checkPlainFile(path);
    await makeFolderDurably(dirname(path));
    await writeSynced(temporary, content, mode);
    tellStep({ step: 'rename', from: temporary, to: path });
    await rename(temporary, path);
    await syncNames(dirname(path));
  } catch (error) {
    // It may never have been there; what matters is the error that came first.
    await rm(temporary, { force: true }).catch(() => undefined);
    throw fileError('write', path, error);
  }
}

/**
 * Writes the file that a person named, as `writeFileDurably` does. A symbolic link stays one: what it
 * leads to is replaced, as by `cp` and by a shell's `>`.
 */
export async function writeOutputFile(
  path: string,
  content: string | Uint8Array | Iterable<Uint8Array>,
): Promise<void> {
  const file = await followLinks(path).catch((error: unknown) => {
    throw fileError('write', path, error);
  });
  await writeFileDurably(file, content);
}

async function syncNames(folder: string): Promise<void> {
  tellStep({ step: 'sync-folder', path: folder });
  await sync(folder);
}

async function writeSynced(
  path: string,
  content: string | Uint8Array | Iterable<Uint8Array>,
  mode: number | undefined,
): Promise<void> {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  const chunks = bytes instanceof Uint8Array ? [bytes] : bytes;
  // Files in pieces are no state: what is told of them is enough to see that they are synced.
  const told = bytes instanceof Uint8Array ? bytes : new Uint8Array();
  tellStep({ step: 'write', path, bytes: told });
  const file = await open(path, 'wx', mode);
  try {
    // oxlint-disable-next-line no-await-in-loop -- one write follows the other
    for (const chunk of chunks) await writeFully(file, chunk);
    tellStep({ step: 'sync', path });
    await file.sync();
  } finally {
    await file.close();
  }
}

async function writeFully(file: Awaited<ReturnType<typeof open>>, chunk: Uint8Array) {
  for (let at = 0; at < chunk.length;) {
    // oxlint-disable-next-line no-await-in-loop -- one write follows the other
    const { bytesWritten } = await file.write(chunk, at);
    at += bytesWritten;
  }
}

/** Sees to it that a file, or the names in a folder, are on the disk. Throws system errors. */
export async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } catch (error) {
    // Some file systems cannot sync a folder; what was done in it has succeeded.
    if (codeOf(error) !== 'EINVAL') throw error;
  } finally {
    await handle.close();
  }
}
