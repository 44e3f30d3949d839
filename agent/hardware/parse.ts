import { nonsense } from './error.ts';

const MAX_TEXT = 200;
/** `0-3,8-11` on the largest machines; a longer list is not a list of CPUs. */
const MAX_CPUS = 8192;

/** One line of printable text, e.g. a model name. NULs at the end (device tree) are dropped. */
export function parseLine(text: string): string {
  const line = text.replace(/[\0\s]+$/, '').trimStart();
  if (line === '') throw nonsense('text', text);
  if (line.length > MAX_TEXT || /[\p{Cc}\uFFFD]/u.test(line))
    throw nonsense('printable text', text);
  return line;
}

/** A decimal integer on a line of its own, possibly negative. */
export function parseInteger(text: string): number {
  if (!/^\s*-?\d{1,19}\s*$/.test(text)) throw nonsense('a whole number', text);
  return Number(text);
}

/** A whole number above zero, e.g. a frequency. */
export function parsePositive(text: string): number {
  const value = parseInteger(text);
  if (value <= 0) throw nonsense('a number above zero', text);
  return value;
}

/** A CPU list such as `0,3-5`, as sorted numbers; an empty line is an empty list. */
export function parseCpuList(text: string): readonly number[] {
  const list = text.trim();
  if (list === '') return [];
  const cpus = new Set<number>();
  for (const range of list.split(',')) {
    const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(range) ?? [];
    if (first === undefined || Number(last) < Number(first) || Number(last) >= MAX_CPUS) {
      throw nonsense('a list of CPUs such as 0-3', text);
    }
    for (let cpu = Number(first); cpu <= Number(last); cpu += 1) cpus.add(cpu);
  }
  return [...cpus].toSorted((a, b) => a - b);
}

/** A CPU list that must not be empty. */
export function parseSomeCpus(text: string): readonly number[] {
  const cpus = parseCpuList(text);
  if (cpus.length === 0) throw nonsense('a list of CPUs such as 0-3', text);
  return cpus;
}

/** A hexadecimal number with or without `0x`. */
export function parseHex(text: string): number {
  const [, digits] = /^\s*(?:0x)?([0-9a-f]{1,8})\s*$/i.exec(text) ?? [];
  if (digits === undefined) throw nonsense('a hexadecimal number', text);
  return Number.parseInt(digits, 16);
}
