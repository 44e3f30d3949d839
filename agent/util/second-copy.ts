import { readFile } from 'node:fs/promises';
import { replaceFile } from './durable.ts';
import { codeOf, messageOf } from './errors.ts';

/*
 * Small files with numbers that only grow: one that is forgotten lets older documents in again, so a
 * disk that damages one file must not be enough. A second copy stands beside, and is written first:
 * it knows at least what the file knows.
 */

/** What was found: the value, or that there is none; `why` says what is wrong with the file. */
export type Found<T> =
  | { readonly state: 'whole'; readonly value: T }
  | { readonly state: 'from-copy'; readonly value: T; readonly why: string }
  | { readonly state: 'missing' }
  | { readonly state: 'damaged'; readonly why: string };

function copyOf(path: string): string {
  return `${path}.copy`;
}

/** Writes both, the copy first; on the disk when it resolves. Throws system errors. */
export async function writeTwice(path: string, content: string): Promise<void> {
  await replaceFile(copyOf(path), content);
  await replaceFile(path, content);
}

/**
 * The file, or its copy where that is damaged, unreadable or missing. A copy that is not what the whole
 * file is, because it has rotted or an older agent wrote none, is written anew: so only who owns the
 * file may read it this way. `parse` throws for what is damaged. Throws system errors where the file
 * cannot be read, or is missing and its copy cannot, and the other is of no use.
 */
export async function readTwice<T>(path: string, parse: (text: string) => T): Promise<Found<T>> {
  const [first, second] = [await readOne(path, parse), await readOne(copyOf(path), parse)];
  if (first.state === 'whole') {
    const { value, text } = first;
    if (second.state !== 'whole' || second.text !== text) await mendCopy(path, text);
    return { state: 'whole', value };
  }
  const why = say(first);
  if (second.state === 'whole') return { state: 'from-copy', value: second.value, why };
  const worst = first.state === 'missing' ? second : first;
  if (worst.state === 'unreadable') throw worst.error;
  if (worst.state === 'missing') return { state: 'missing' };
  const isSame = first.state === second.state;
  return {
    state: 'damaged',
    why: `${why}, and ${isSame ? 'so is its copy' : `its copy ${say(second)}`}`,
  };
}

async function mendCopy(path: string, text: string): Promise<void> {
  // The file is good without it, and the next change writes the copy again and says why it cannot.
  await replaceFile(copyOf(path), text).catch(() => undefined);
}

type Useless =
  | { readonly state: 'missing' | 'damaged' }
  | { readonly state: 'unreadable'; readonly error: unknown };

type One<T> = { readonly state: 'whole'; readonly value: T; readonly text: string } | Useless;

function say(one: Useless): string {
  if (one.state !== 'unreadable') return `is ${one.state}`;
  return `cannot be read (${codeOf(one.error) ?? messageOf(one.error)})`;
}

async function readOne<T>(path: string, parse: (text: string) => T): Promise<One<T>> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? { state: 'missing' } : { state: 'unreadable', error };
  }
  try {
    return { state: 'whole', value: parse(text), text };
  } catch {
    // Why is of no use to anybody: it is no document of ours any more.
    return { state: 'damaged' };
  }
}
