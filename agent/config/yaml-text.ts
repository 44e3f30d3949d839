import { isMap, isScalar, isSeq, LineCounter, parseAllDocuments } from 'yaml';
import type { Document } from 'yaml';
import { ConfigError } from './error.ts';

/** Ours has a few dozen lines; a file of another kind is refused before it is parsed. */
export const MAX_CONFIG_BYTES = 256 * 1024;
/** Anchors may be used, but not to make a small file large in memory. */
const MAX_ALIASES = 100;

export type KeyPath = readonly (string | number)[];

export interface Position {
  readonly line: number;
  readonly column: number;
}

export interface ParsedText {
  /** Plain data; a key without a value counts as not given. */
  readonly value: unknown;
  /** Where a key stands, or the nearest one above it that is there. */
  readonly locate: (path: KeyPath) => Position;
}

type Doc = Document.Parsed;

/** Parses YAML that remembers its lines. Throws ConfigError with every syntax error in it. */
export function parseYaml(text: string, file: string): ParsedText {
  const problem = (message: string, position: Position | null = null) => ({
    where: file,
    line: position?.line ?? null,
    column: position?.column ?? null,
    key: '',
    message,
  });
  if (Buffer.byteLength(text) > MAX_CONFIG_BYTES) {
    throw new ConfigError([problem(`larger than ${MAX_CONFIG_BYTES} bytes: not a configuration`)]);
  }
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const [first, second] = documents;
  if (first === undefined || !('errors' in first)) return { value: {}, locate: () => at(0) };
  const errors = first.errors.map(({ message, pos }) => problem(message, at(pos[0])));
  if (second !== undefined && 'range' in second) {
    errors.push(problem('a second document: use only one', at(second.range[0])));
  }
  if (errors.length > 0) throw new ConfigError(errors);
  return {
    value: withoutNulls(toData(first, problem)),
    locate: (path) => at(offsetOf(first, path)),
  };
}

function toData(doc: Doc, problem: (message: string) => ConfigError['problems'][number]): unknown {
  try {
    return doc.toJS({ maxAliasCount: MAX_ALIASES }) ?? {};
  } catch (error) {
    throw new ConfigError([problem('too many aliases (*name)')], error);
  }
}

/** `mqtt:` with nothing but comments below it is null in YAML. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  const given = Object.entries(value).filter(([, inner]) => inner !== null);
  return Object.fromEntries(given.map(([key, inner]) => [key, withoutNulls(inner)]));
}

/** The offset of the key (or list item) at the end of the path, as far as it can be followed. */
function offsetOf(doc: Doc, path: KeyPath): number {
  let node: unknown = doc.contents;
  let offset = doc.contents?.range[0] ?? 0;
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find(
        ({ key }) => isScalar(key) && String(key.value) === String(step),
      );
      if (pair === undefined || !isScalar(pair.key)) return offset;
      offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      const item: unknown = node.items[Number(step)];
      offset = isScalar(item) || isMap(item) || isSeq(item) ? (item.range?.[0] ?? offset) : offset;
      node = item;
    } else {
      return offset;
    }
  }
  return offset;
}
