import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { recordedSetSchema, type RecordedSet } from '../../contracts/recorded.ts';
import { codeOf } from '../../util/errors.ts';
import { namesIn } from '../../util/files.ts';
import type { Held } from './reservoir.ts';

/*
 * On the disk:
 *
 *     recorded/NAME/set.json            of which model, its inputs, how many were seen
 *     recorded/NAME/000000000042.npz    sample 42 of those seen, never changed
 *
 * One rename puts a sample in its place, and its name says how many were seen when it came: a power cut
 * cannot part the two.
 */

export const SET_FILE = 'set.json';
const SAMPLE_FILE = /^(\d{12,15})\.npz$/;
const DIGITS = 12;

/** The file of a sample. */
export function sampleFile(index: number): string {
  return `${String(index).padStart(DIGITS, '0')}.npz`;
}

/** The samples in a folder, in the order in which they came. Throws system errors. */
export async function heldIn(folder: string): Promise<readonly Held[]> {
  const held: Held[] = [];
  for (const name of (await namesIn(folder)).toSorted()) {
    const digits = SAMPLE_FILE.exec(name)?.[1];
    if (digits === undefined) continue;
    // oxlint-disable-next-line no-await-in-loop -- a few hundred
    const bytes = await sizeOfFile(join(folder, name));
    if (bytes !== null) held.push({ index: Number(digits), bytes });
  }
  return held;
}

/** What set.json says; null when there is none, or none that can be read: the set begins anew then. */
export async function readSet(folder: string): Promise<RecordedSet | null> {
  try {
    const text = await readFile(join(folder, SET_FILE), 'utf8');
    const { success, data } = recordedSetSchema.safeParse(JSON.parse(text));
    return success ? data : null;
  } catch (error) {
    // A disk that cannot be read is another matter than a file that is not there or not JSON.
    const code = codeOf(error);
    if (code === undefined || ['ENOENT', 'ENOTDIR'].includes(code)) return null;
    throw error;
  }
}

/** Whether samples for one list of inputs are samples for the other. */
export function sameInputs(a: RecordedSet['inputs'], b: RecordedSet['inputs']): boolean {
  return canonical(a) === canonical(b);
}

function canonical(inputs: RecordedSet['inputs']): string {
  return JSON.stringify(
    inputs.map(({ name, dtype, shape, image = {} }) => [
      name,
      dtype,
      shape,
      Object.entries(image).toSorted(([x], [y]) => (x < y ? -1 : 1)),
    ]),
  );
}

async function sizeOfFile(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    // Another sample has just taken its place.
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}
