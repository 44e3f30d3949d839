import { readFile } from 'node:fs/promises';
import { replaceFile } from './durable.ts';
import { codeOf } from './errors.ts';

/*
 * Small files with numbers that only grow: one that is forgotten lets older documents in again, so a
 * disk that damages one file must not be enough. A second copy stands beside, and is written first:
 * it knows at least what the file knows.
 */

/** What was found: the value, or that there is none. */
export type Found<T> =
  | { readonly state: 'whole' | 'from-copy'; readonly value: T }
  | { readonly state: 'missing' | 'damaged' };

function copyOf(path: string): string {
  return `${path}.copy`;
}

/** Writes both, the copy first; on the disk when it resolves. Throws system errors. */
export async function writeTwice(path: string, content: string): Promise<void> {
  await replaceFile(copyOf(path), content);
  await replaceFile(path, content);
}

/**
 * The file, or its copy where that is damaged, unreadable or missing. `parse` throws for what is
 * damaged. Throws system errors where one cannot be read and the other is of no use.
 */
export async function readTwice<T>(path: string, parse: (text: string) => T): Promise<Found<T>> {
  const first = await readOne(path, parse);
  if (first.state === 'whole') return first;
  const second = await readOne(copyOf(path), parse);
  if (second.state === 'whole') return { state: 'from-copy', value: second.value };
  const worst = first.state === 'missing' ? second : first;
  if (worst.state === 'unreadable') throw worst.error;
  return worst;
}

type One<T> =
  | { readonly state: 'whole'; readonly value: T }
  | { readonly state: 'missing' | 'damaged' }
  | { readonly state: 'unreadable'; readonly error: unknown };

async function readOne<T>(path: string, parse: (text: string) => T): Promise<One<T>> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? { state: 'missing' } : { state: 'unreadable', error };
  }
  try {
    return { state: 'whole', value: parse(text) };
  } catch {
    // Why is of no use to anybody: it is no document of ours any more.
    return { state: 'damaged' };
  }
}
