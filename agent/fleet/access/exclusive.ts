import { dirname, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { withLock } from '../../deploy/tuf/lock.ts';
import { codeOf } from '../../util/errors.ts';
import { AccessError } from './error.ts';

const PATIENCE_MS = 30_000;
const PAUSE_MS = 50;

/**
 * Runs one change of these files at a time: two that both read and write a list would let in again
 * whom the other has just shut out. Their folders have to be there. Throws AccessError (BUSY) where another takes too long, FileError
 * and what `run` throws.
 */
export async function exclusively<T>(paths: readonly string[], run: () => Promise<T>): Promise<T> {
  // In one order for everybody: nobody waits for somebody who waits for him.
  const folders = [...new Set(paths.map((path) => dirname(resolve(path))))].toSorted();
  return folders.reduceRight<() => Promise<T>>(
    (inner, folder) => () => lockedWhenFree(folder, inner),
    run,
  )();
}

async function lockedWhenFree<T>(folder: string, run: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  let isIn = false;
  for (;;) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- until it is free
      return await withLock(folder, () => {
        isIn = true;
        return run();
      });
    } catch (error) {
      if (isIn || codeOf(error) !== 'BUSY') throw error;
      if (performance.now() > deadline) {
        const text = `another command is changing the files in ${folder}`;
        throw new AccessError('BUSY', `${text}: try again (or remove ${folder}/.lock)`, error);
      }
    }
    // oxlint-disable-next-line no-await-in-loop -- until it is free
    await sleep(PAUSE_MS);
  }
}
