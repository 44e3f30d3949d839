import type { Scheme, SchemeRule } from '../contracts/scheme.ts';

type Rules = Pick<Scheme, 'excluded' | 'rules'>;

/** An operation as rules see it. */
export interface Named {
  readonly op: string;
  /** What it may be called by: names of its own, and of what it makes. */
  readonly names: readonly string[];
}

/** Whether an operation is to stay in float. */
export function isExcluded(scheme: Rules, named: Named): boolean {
  if (named.names.some((name) => scheme.excluded.includes(name))) return true;
  return ruleFor(scheme, named).precision === 'float';
}

/** All that the rules of a scheme say of one operation, the last word of each field. */
export function ruleFor({ rules = [] }: Rules, named: Named): SchemeRule {
  let all: SchemeRule = {};
  for (const rule of rules) {
    if (!matches(rule, named)) continue;
    const said = Object.entries(rule).filter(([, value]) => value !== undefined);
    all = { ...all, ...Object.fromEntries(said) };
  }
  return all;
}

/** Whether a rule is about an operation. */
export function matches({ op, name }: SchemeRule, named: Named): boolean {
  if (op !== undefined && op !== named.op) return false;
  if (name === undefined) return true;
  return named.names.some((one) => fits(one, name));
}

/** `*` stands for any characters, also none. Without backtracking: each part at its first place. */
function fits(text: string, pattern: string): boolean {
  const [head = '', ...rest] = pattern.split('*');
  const tail = rest.pop();
  if (tail === undefined) return text === head;
  if (!text.startsWith(head)) return false;
  let at = head.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return text.length - tail.length >= at && text.endsWith(tail);
}
