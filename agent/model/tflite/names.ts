/**
 * A value that a newer format may have and this program has no name for: its number. It is kept and
 * written back.
 */
export type UnknownValue = `#${number}`;

/** The name of a number; names count from 0. */
export function nameOf<T extends string>(names: readonly T[], value: number): T | UnknownValue {
  return names[value] ?? `#${value}`;
}

/** The number of a name, or NaN, which no writer takes. */
export function numberOf<T extends string>(names: readonly T[], name: T | UnknownValue): number {
  if (name.startsWith('#')) return Number(name.slice(1));
  return positionsOf(names).get(name) ?? NaN;
}

const known = new WeakMap<readonly string[], ReadonlyMap<string, number>>();

function positionsOf(names: readonly string[]): ReadonlyMap<string, number> {
  const before = known.get(names);
  if (before !== undefined) return before;
  const positions = new Map(names.map((name, index) => [name, index]));
  known.set(names, positions);
  return positions;
}
