import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '../../util/errors.ts';
import { fileError } from '../../util/files.ts';
import { TrustError } from '../errors.ts';

/**
 * Runs one change of a repository at a time: two that both sign version N+1 would undo each other,
 * such as the daily timestamp and a release. The lock of a process that is gone is taken over.
 * Throws TrustError (BUSY) and FileError.
 */
export async function withLock<T>(repository: string, run: () => Promise<T>): Promise<T> {
  const path = join(repository, '.lock');
  await take(path);
  try {
    return await run();
  } finally {
    await rm(path, { force: true });
  }
}

async function take(path: string): Promise<void> {
  if (await create(path)) return;
  const owner = await readOwner(path);
  if (!isGone(owner)) throw busy(path);
  await rm(path, { force: true });
  if (!(await create(path))) throw busy(path);
}

async function create(path: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx');
    try {
      await file.writeFile(`${process.pid}\n`);
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw fileError('write', path, error);
  }
}

async function readOwner(path: string): Promise<number> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw codeOf(error) === 'ENOENT' ? busy(path) : fileError('read', path, error);
  });
  return Number(text);
}

/** A number that is none belongs to somebody who is just writing it. */
function isGone(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return codeOf(error) === 'ESRCH';
  }
}

function busy(path: string): TrustError {
  const message = `another command is changing this repository: try again (or remove ${path})`;
  return new TrustError('BUSY', message);
}
