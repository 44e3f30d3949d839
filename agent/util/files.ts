import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
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
};

/** Turns a system error into one line that names the path; `doing` is a verb such as "write". */
export function fileError(doing: string, path: string, error: unknown): FileError {
  const code = codeOf(error) ?? 'EUNKNOWN';
  const why = ADVICE[code] ?? messageOf(error);
  const kind = code === 'ENOSPC' || code === 'EDQUOT' ? 'failure' : 'input';
  return new FileError(code, `cannot ${doing} ${path}: ${why}`, { cause: error, kind });
}

/**
 * Writes a file so that a reader sees either the old content or all of the new: temporary file in
 * the same folder, fsync, rename, fsync of the folder. Nothing is left behind on failure.
 */
export async function writeFileDurably(
  path: string,
  content: string | Uint8Array | Iterable<Uint8Array>,
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
    await mkdir(folder, { recursive: true });
    const file = await open(temporary, 'wx');
    try {
      for (const chunk of chunks) await writeFully(file, chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncFolder(folder);
  } catch (error) {
    await rm(temporary, { force: true });
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

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } catch (error) {
    // Some file systems cannot sync a folder; the rename itself has succeeded.
    if (codeOf(error) !== 'EINVAL') throw error;
  } finally {
    await handle.close();
  }
}
