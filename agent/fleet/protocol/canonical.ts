import { AgentError } from '../../util/errors.ts';

/** Deeper documents are refused: nothing of ours nests like that, and recursion must end. */
const MAX_DEPTH = 64;
/** With the u flag a pair is one character, so only halves match. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** A value that has no canonical JSON. */
export class CanonicalError extends AgentError {
  override readonly name = 'CanonicalError';

  constructor(message: string) {
    super('NOT_CANONICAL', message);
  }
}

/**
 * The one way to write a JSON value, so that both sides sign the same bytes: RFC 8785 (JSON
 * Canonicalization Scheme). Members sorted by UTF-16 code units, no spaces, numbers and strings as
 * ECMAScript writes them. Members that are undefined are left out, as JSON.stringify does. Throws
 * CanonicalError for what JSON or the RFC cannot hold: NaN, infinities, lone surrogates, functions.
 */
export function canonicalJson(value: unknown): string {
  return write(value, 0);
}

function write(value: unknown, depth: number): string {
  if (depth > MAX_DEPTH) throw new CanonicalError(`nested deeper than ${MAX_DEPTH} levels`);
  if (value === null || typeof value === 'boolean') return JSON.stringify(value);
  if (typeof value === 'number') return writeNumber(value);
  if (typeof value === 'string') return writeString(value);
  if (Array.isArray(value)) {
    return `[${value.map((item: unknown) => write(item, depth + 1)).join(',')}]`;
  }
  if (typeof value === 'object') return writeObject(value, depth);
  throw new CanonicalError(`a ${typeof value} has no JSON form`);
}

function writeObject(value: object, depth: number): string {
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    // Comparing strings with < compares UTF-16 code units, as the RFC asks (section 3.2.3).
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${writeString(name)}:${write(member, depth + 1)}`);
  return `{${members.join(',')}}`;
}

function writeNumber(value: number): string {
  if (!Number.isFinite(value)) throw new CanonicalError(`${value} has no JSON form`);
  return JSON.stringify(value);
}

function writeString(value: string): string {
  if (LONE_SURROGATE.test(value)) throw new CanonicalError('a string holds half a surrogate pair');
  return JSON.stringify(value);
}
