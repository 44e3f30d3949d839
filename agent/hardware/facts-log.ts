import { codeOf, messageOf } from '../util/errors.ts';
import type { Tree } from './tree.ts';

/** What the readers share: the tree they read, and where they note what they found or missed. */
export interface Reading {
  readonly tree: Tree;
  /** Fact -> the file it came from. */
  readonly sources: Map<string, string>;
  /** Fact -> why it is not known. */
  readonly unknown: Map<string, string>;
}

export function startReading(tree: Tree): Reading {
  return { tree, sources: new Map(), unknown: new Map() };
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  ENOTDIR: 'no such file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a folder, not a file',
  EAGAIN: 'not readable now (EAGAIN); the sensor is powered off',
  EIO: 'the driver reports a read error (EIO)',
};

/** Whether an error only says that the file is not there. */
export function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '');
}

export interface FactOptions {
  /** A missing file is normal here and leaves no note. */
  readonly optional?: boolean;
}

/**
 * Reads one fact from the first of `paths` that gives a sensible value. `parse` throws on nonsense.
 * Missing, unreadable and nonsensical files become an entry in `unknown` and the answer null.
 */
export async function readFact<T>(
  reading: Reading,
  fact: string,
  paths: string | readonly string[],
  parse: (text: string) => T,
  options: FactOptions = {},
): Promise<T | null> {
  const reasons: string[] = [];
  let allMissing = true;
  for (const path of typeof paths === 'string' ? [paths] : paths) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- later paths are only fallbacks
      const value = parse(await reading.tree.readText(path));
      foundFact(reading, fact, path);
      return value;
    } catch (error) {
      allMissing &&= isMissing(error);
      reasons.push(`${path}: ${REASONS[codeOf(error) ?? ''] ?? messageOf(error)}`);
    }
  }
  const why = allMissing ? `${[paths].flat().join(', ')}: no such file` : reasons.join('; ');
  if (!(allMissing && options.optional === true)) missFact(reading, fact, why);
  return null;
}

export function foundFact(reading: Reading, fact: string, path: string): void {
  reading.sources.set(fact, path);
  reading.unknown.delete(fact);
}

export function missFact(reading: Reading, fact: string, why: string): void {
  reading.sources.delete(fact);
  reading.unknown.set(fact, why);
}

/**
 * Names in a folder that have the expected form (a recording may hold anything, and names end up on
 * terminals); none when it is not there, none and a note when it cannot be read.
 */
export async function listFolder(
  reading: Reading,
  fact: string,
  path: string,
  form: RegExp,
): Promise<readonly string[]> {
  try {
    return (await reading.tree.list(path)).filter((name) => form.test(name));
  } catch (error) {
    if (!isMissing(error)) {
      missFact(reading, fact, `${path}: ${REASONS[codeOf(error) ?? ''] ?? messageOf(error)}`);
    }
    return [];
  }
}

/** Content of a file that may well be missing or unreadable; then null, without a note. */
export async function readOptional(tree: Tree, path: string): Promise<string | null> {
  try {
    return await tree.readText(path);
  } catch {
    // The caller asks only for what is there; facts with a reason go through readFact.
    return null;
  }
}
