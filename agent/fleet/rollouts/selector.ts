import type { DeviceRow } from '../roster/row.ts';
import { RolloutError } from './error.ts';

/** Which devices: `class=rpi-5 and (tag=site-a or not state=online)`. */
export type Selector = (row: DeviceRow) => boolean;

/** What a device can be told by; a key with several values holds when one of them does. */
const KEYS: Readonly<Record<string, (row: DeviceRow) => readonly string[]>> = {
  class: (row) => [row.class],
  tag: (row) => row.tags,
  id: (row) => [row.deviceId],
  agent: (row) => [row.agent],
  board: (row) => [row.board],
  arch: (row) => [row.arch],
  state: (row) => [row.state],
  model: ({ model }) => (model === null ? [] : [model.name]),
  version: ({ model }) => (model === null ? [] : [model.version]),
  precision: ({ model }) => (model === null ? [] : [model.precision]),
  accelerator: (row) => row.accelerators,
};

const WORDS = ['and', 'or', 'not', 'in'];
const MAX_DEPTH = 50;
const TOKEN = /\s*(?:(!=|[=(),])|"([^"]*)"|'([^']*)'|([^\s=!(),"']+))/y;

interface Token {
  readonly kind: 'sign' | 'word' | 'quoted';
  readonly text: string;
  /** Position of its first character, counted from 1. */
  readonly at: number;
}

/**
 * Reads a selector. Keys: class, tag, id, agent, board, arch, state, model, version, precision,
 * accelerator; `=`, `!=`, `in (a, b)`; `*` in a value stands for anything; `not`, `and`, `or` in this
 * order of strength, and parentheses. Nothing selects every device. Throws RolloutError with the
 * position of what is wrong.
 */
export function parseSelector(text: string): Selector {
  const parser = new Parser(tokensOf(text), text.length + 1);
  return parser.whole();
}

function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  let end = 0;
  while (text.slice(end).trim() !== '') {
    const match = TOKEN.exec(text);
    const at = end + 1 + (/^\s*/.exec(text.slice(end))?.[0].length ?? 0);
    if (match === null) throw bad(at, `${JSON.stringify(text[at - 1])} does not belong here`);
    const [, sign, double, single, word] = match;
    if (sign !== undefined) tokens.push({ kind: 'sign', text: sign, at });
    else if (word !== undefined) tokens.push({ kind: 'word', text: word, at });
    else tokens.push({ kind: 'quoted', text: double ?? single ?? '', at });
    end = TOKEN.lastIndex;
  }
  return tokens;
}

function bad(at: number, why: string): RolloutError {
  return new RolloutError('bad_selector', `selector, character ${at}: ${why}`);
}

class Parser {
  readonly #tokens: readonly Token[];
  readonly #end: number;
  #next = 0;

  constructor(tokens: readonly Token[], end: number) {
    this.#tokens = tokens;
    this.#end = end;
  }

  whole(): Selector {
    if (this.#tokens.length === 0) return () => true;
    const selector = this.#either(0);
    const rest = this.#tokens[this.#next];
    if (rest !== undefined) throw bad(rest.at, `"${rest.text}" comes where "and" or "or" belongs`);
    return selector;
  }

  #either(depth: number): Selector {
    let left = this.#both(depth);
    while (this.#takes('or')) {
      const [first, second] = [left, this.#both(depth)];
      left = (row) => first(row) || second(row);
    }
    return left;
  }

  #both(depth: number): Selector {
    let left = this.#one(depth);
    while (this.#takes('and')) {
      const [first, second] = [left, this.#one(depth)];
      left = (row) => first(row) && second(row);
    }
    return left;
  }

  #one(depth: number): Selector {
    if (depth > MAX_DEPTH) throw bad(this.#at(), `nested over ${MAX_DEPTH} levels`);
    if (this.#takes('not')) {
      const inner = this.#one(depth + 1);
      return (row) => !inner(row);
    }
    if (this.#takes('(')) {
      const inner = this.#either(depth + 1);
      this.#expect(')');
      return inner;
    }
    return this.#comparison();
  }

  #comparison(): Selector {
    const [at, name] = [this.#at(), this.#value('a key')];
    const read = Object.hasOwn(KEYS, name) ? KEYS[name] : undefined;
    if (read === undefined) {
      throw bad(at, `there is no key "${name}": use ${Object.keys(KEYS).join(', ')}`);
    }
    if (this.#takes('in')) {
      const matches = this.#list().map(matcher);
      return (row) => read(row).some((value) => matches.some((match) => match(value)));
    }
    const isUnequal = this.#takes('!=');
    if (!isUnequal) this.#expect('=', `"=", "!=" or "in" after "${name}"`);
    const match = matcher(this.#value(`a value for "${name}"`));
    return (row) => read(row).some(match) !== isUnequal;
  }

  #list(): readonly string[] {
    this.#expect('(');
    const values = [this.#value('a value')];
    while (this.#takes(',')) values.push(this.#value('a value'));
    this.#expect(')');
    return values;
  }

  #at(): number {
    return this.#tokens[this.#next]?.at ?? this.#end;
  }

  #value(what: string): string {
    const token = this.#tokens[this.#next];
    const isValue = token !== undefined && token.kind !== 'sign';
    if (!isValue || (token.kind === 'word' && WORDS.includes(token.text.toLowerCase()))) {
      throw bad(this.#at(), `${what} is missing`);
    }
    this.#next += 1;
    return token.text;
  }

  #takes(text: string): boolean {
    const token = this.#tokens[this.#next];
    const found = token?.kind !== 'quoted' && token?.text.toLowerCase() === text;
    if (found) this.#next += 1;
    return found;
  }

  #expect(text: string, what = `"${text}"`): void {
    if (!this.#takes(text)) throw bad(this.#at(), `${what} is missing`);
  }
}

function matcher(pattern: string): (value: string) => boolean {
  if (!pattern.includes('*')) return (value) => value === pattern;
  const parts = pattern.split('*');
  const [first = ''] = parts;
  const last = parts.at(-1) ?? '';
  const middle = parts.slice(1, -1);
  return (value) => {
    if (value.length < first.length + last.length) return false;
    if (!value.startsWith(first) || !value.endsWith(last)) return false;
    let at = first.length;
    const end = value.length - last.length;
    for (const part of middle) {
      const found = value.indexOf(part, at);
      if (found === -1 || found + part.length > end) return false;
      at = found + part.length;
    }
    return true;
  };
}
