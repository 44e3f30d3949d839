/**
 * The logic of a filter: `class=rpi-5 and (tag=a or not state=online)`. `and` may be left out. What is
 * typed is never wrong: while somebody is at it, a bracket that is still open, a sign without a value or
 * a word that hangs there must not empty the table.
 */
export type Test<T> = (item: T) => boolean;

/** `key = "a b"`, `key in (a, b)`, brackets, words. */
const TOKEN =
  /[a-zA-Z0-9]+\s+in\s*\([^)]*\)?|[a-zA-Z0-9]+\s*(?:!=|<=|>=|=|<|>)(?:\s*(?:"[^"]*"?|[^\s"()]+))?|"[^"]*"?|[()]|[^\s()]+/gi;
const MAX_DEPTH = 20;

/** The terms and signs of a filter text, in order. */
export function tokensOf(text: string): readonly string[] {
  return text.match(TOKEN) ?? [];
}

export const always = () => true;

class Parser<T> {
  readonly #tokens: readonly string[];
  readonly #termOf: (term: string) => Test<T>;
  #next = 0;

  constructor(tokens: readonly string[], termOf: (term: string) => Test<T>) {
    this.#tokens = tokens;
    this.#termOf = termOf;
  }

  whole(): Test<T> {
    const tests: Test<T>[] = [];
    while (this.#next < this.#tokens.length) {
      tests.push(this.#either(0));
      // A bracket that was never opened.
      this.#takes(')');
    }
    return (item) => tests.every((test) => test(item));
  }

  #takes(word: string): boolean {
    if (this.#tokens[this.#next]?.toLowerCase() !== word) return false;
    this.#next += 1;
    return true;
  }

  #ends(): boolean {
    const token = this.#tokens[this.#next]?.toLowerCase();
    return token === undefined || token === ')' || token === 'or';
  }

  #either(depth: number): Test<T> {
    let left = this.#both(depth);
    while (this.#takes('or')) {
      if (this.#ends()) break;
      const [first, second] = [left, this.#both(depth)];
      left = (item) => first(item) || second(item);
    }
    return left;
  }

  #both(depth: number): Test<T> {
    const tests: Test<T>[] = [];
    while (!this.#ends()) {
      if (!this.#takes('and')) tests.push(this.#one(depth));
    }
    return (item) => tests.every((test) => test(item));
  }

  #one(depth: number): Test<T> {
    // Deeper than anybody types: the signs are passed over.
    const isDeep = depth > MAX_DEPTH;
    if (this.#takes('not')) {
      if (this.#ends() || isDeep) return always;
      const inner = this.#one(depth + 1);
      return (item) => !inner(item);
    }
    if (this.#takes('(')) {
      if (isDeep) return always;
      const inner = this.#either(depth + 1);
      this.#takes(')');
      return inner;
    }
    const term = this.#tokens[this.#next] ?? '';
    this.#next += 1;
    return this.#termOf(term);
  }
}

/** Joins the tests of the terms of a text; `termOf` makes one of a word or a condition. */
export function parseLogic<T>(text: string, termOf: (term: string) => Test<T>): Test<T> {
  return new Parser(tokensOf(text), termOf).whole();
}
