import type { z } from 'zod';
import { configSchema } from '../contracts/config.ts';
import { configLeaves } from './environment.ts';
import { nearestWord } from '../util/nearest.ts';
import type { KeyPath } from './yaml-text.ts';

/** One thing a schema found wrong, with the key it belongs to. */
export interface Issue {
  readonly path: KeyPath;
  readonly message: string;
}

/** The shape that people know: a mapping is what zod calls an object. */
const KINDS: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  object: 'keys below it',
  array: 'a list',
};

/** A value from a file in an error message: cut short, on one line. */
const SHOWN_CHARACTERS = 40;

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}...` : text;
}

/** What stands at a path of keys and places in lists; undefined where there is nothing. */
export function valueAt(value: unknown, path: KeyPath): unknown {
  let inner = value;
  for (const step of path) {
    if (typeof inner !== 'object' || inner === null) return undefined;
    inner = Object.entries(inner).find(([key]) => key === String(step))?.[1];
  }
  return inner;
}

function wanted(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type') {
    return `it must be ${KINDS[issue.expected] ?? `a ${issue.expected}`}`;
  }
  if (issue.code === 'too_small') {
    return issue.origin === 'string' ? 'it is empty' : `it must be at least ${issue.minimum}`;
  }
  if (issue.code === 'too_big') {
    if (issue.origin === 'array') return `at most ${issue.maximum} are allowed`;
    return `it must be at most ${issue.maximum}${issue.origin === 'string' ? ' characters' : ''}`;
  }
  if (issue.code === 'invalid_value') {
    return `it must be one of ${issue.values.map(String).join(', ')}`;
  }
  return issue.message;
}

/** Keys that exist at this place of the schema. */
function knownAt(path: KeyPath): readonly string[] {
  const depth = path.length;
  const below = configLeaves.filter((leaf) => path.every((step, at) => leaf.path[at] === step));
  return [...new Set(below.flatMap((leaf) => leaf.path[depth] ?? []))];
}

function unknownKey(path: KeyPath, key: string): string {
  const near = nearestWord(key, knownAt(path));
  if (near !== null) return `there is no such key; did you mean ${near}?`;
  const elsewhere = configLeaves.find((leaf) => leaf.path.at(-1) === key);
  if (elsewhere !== undefined)
    return `there is no such key here; it is ${elsewhere.path.join('.')}`;
  return `there is no such key; known are ${knownAt(path).join(', ')}`;
}

type UnknownKey = (path: KeyPath, key: string) => string;

function issuesOf(
  issue: z.core.$ZodIssue,
  value: unknown,
  unknownMessage: UnknownKey,
): readonly Issue[] {
  const path = issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: [...path, key], message: unknownMessage(path, key) }));
  }
  const found = valueAt(value, path);
  const got = found === undefined || typeof found === 'object' ? '' : `, not ${shown(found)}`;
  return [{ path, message: `${wanted(issue)}${got}` }];
}

/** Everything that a schema found wrong with a value, in words for people. */
export function issuesIn(
  error: z.ZodError,
  value: unknown,
  unknownMessage: UnknownKey = () => 'there is no such key',
): readonly Issue[] {
  return error.issues.flatMap((issue) => issuesOf(issue, value, unknownMessage));
}

/** The configuration with its defaults, or everything that is wrong with it. */
export function validate(
  value: unknown,
): { readonly config: z.infer<typeof configSchema> } | { readonly issues: readonly Issue[] } {
  const parsed = configSchema.safeParse(value);
  if (parsed.success) return { config: parsed.data };
  return { issues: issuesIn(parsed.error, value, unknownKey) };
}
