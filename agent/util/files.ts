import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { AgentError, codeOf, messageOf } from './errors.ts';

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
  await mkdir(folder).catch((error: unknown) => {
    // Somebody else has made it meanwhile.
    if (codeOf(error) !== 'EEXIST') throw error;
  });
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
    await refuseSpecial(path);
    await checkFolder(dirname(resolve(path)));
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

/** A rename would replace a device (/dev/full) by a file. */
async function refuseSpecial(path: string): Promise<void> {
  const found = await statOf(path);
  if (found === null || found.isFile()) return;
  if (found.isDirectory()) throw Object.assign(new Error('it is a folder'), { code: 'EISDIR' });
  throw new Error('it is neither a file nor a folder');
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
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}.part`);
  const chunks =
    typeof content === 'string'
      ? [Buffer.from(content)]
      : content instanceof Uint8Array
        ? [content]
        : content;
  try {
    await refuseSpecial(path);
    await makeFolder(folder);
    const file = await open(temporary, 'wx', mode);
    try {
      for (const chunk of chunks) await writeFully(file, chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await sync(folder);
  } catch (error) {
    // It may never have been there; what matters is the error that came first.
    await rm(temporary, { force: true }).catch(() => undefined);
    throw fileError('write', path, error);
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
