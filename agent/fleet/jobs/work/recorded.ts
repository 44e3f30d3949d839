import { createHash } from 'node:crypto';
import { link, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hashOfFile } from '../../../deploy/hash.ts';
import { codeOf } from '../../../util/errors.ts';
import type { WorkContext } from './context.ts';

/** Samples as they were at one moment, whatever is recorded meanwhile. */
export interface Snapshot {
  readonly folder: string;
  /** Of all of it: it decides the result of fitting. */
  readonly digest: string;
  readonly remove: () => Promise<void>;
}

/** Says of which inputs the samples are; its count of samples grows without any of them changing. */
const SET_FILE = 'set.json';

/**
 * A copy of what is recorded of a model, without copying: files there are replaced, never changed, so
 * that a second name keeps one as it is. Null when nothing is recorded.
 */
export async function snapshotRecorded(
  model: string,
  { folders }: WorkContext,
): Promise<Snapshot | null> {
  const source = join(folders.recorded, model);
  const names = await namesIn(source);
  if (!names.includes(SET_FILE)) return null;
  const folder = await mkdtemp(join(folders.scratch, 'recorded-'));
  const hash = createHash('sha256');
  for (const name of names) {
    const path = join(folder, name);
    // oxlint-disable-next-line no-await-in-loop -- in the order of their names
    if (!(await linkIfThere(join(source, name), path)) || name === SET_FILE) continue;
    // oxlint-disable-next-line no-await-in-loop -- as above
    hash.update(`${name} ${(await hashOfFile(path))?.sha256 ?? ''}\n`);
  }
  const remove = () => rm(folder, { recursive: true, force: true });
  return { folder, digest: hash.digest('hex'), remove };
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile() && !entry.name.startsWith('.'));
    return files.map(({ name }) => name).toSorted();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** False when another sample has just taken its place. */
async function linkIfThere(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}
