import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { CalibList } from '../../contracts/recorded.ts';
import { move, removeDurably } from '../../util/durable.ts';
import { codeOf } from '../../util/errors.ts';
import { fileError, namesIn } from '../../util/files.ts';
import { heldIn, readSet } from './set.ts';

/** Below the state folder. */
export const RECORDED_FOLDER = 'recorded';

/** What is recorded of every model. Throws FileError. */
export async function listRecorded(folder: string): Promise<CalibList> {
  const sets: CalibList['sets'] = [];
  try {
    for (const name of (await namesIn(folder)).toSorted()) {
      const path = join(folder, name);
      // oxlint-disable-next-line no-await-in-loop -- a handful
      const set = await readSet(path);
      if (set === null || name.startsWith('.')) continue;
      // oxlint-disable-next-line no-await-in-loop -- as above
      const held = await heldIn(path);
      const seen = Math.max(set.seen, (held.at(-1)?.index ?? -1) + 1);
      const bytes = held.reduce((sum, one) => sum + one.bytes, 0);
      const { model, since, inputs } = set;
      sets.push({ model, samples: held.length, bytes, seen, since, inputs });
    }
  } catch (error) {
    throw fileError('read', folder, error);
  }
  return { schema: 'edgefit/calib-ls/1', folder, sets };
}

/**
 * Removes what is recorded of a model; false when there is nothing. A daemon that is recording notices
 * and begins anew. Throws FileError.
 */
export async function clearRecorded(folder: string, model: string): Promise<boolean> {
  const path = join(folder, model);
  try {
    await stat(path);
    // Out of the way in one step: a sample that comes meanwhile begins a new set.
    const gone = join(folder, `.${model}.${randomBytes(6).toString('hex')}.part`);
    await move(path, gone);
    await removeDurably(gone);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw fileError('remove', path, error);
  }
}

/** Removes what a `clear` that was cut short has left. Throws system errors. */
export async function removeCleared(folder: string): Promise<void> {
  for (const name of await namesIn(folder)) {
    // oxlint-disable-next-line no-await-in-loop -- rare
    if (/^\..*\.part$/.test(name)) await removeDurably(join(folder, name));
  }
}
