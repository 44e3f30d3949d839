import type { PlanFacts, PlanProfile } from '../types.ts';

/** Beyond this many threads only "all cores" is tried: batch 1 rarely gains from more. */
const DENSE_UP_TO = 8;
/** A power of two this close to all cores is not measured beside it. */
const CLOSE_TO_ALL = 0.75;

/** Whole cores this process may use, at least 1. */
export function usableCores(facts: PlanFacts): number {
  const { coresUsable, coresOnline } = facts.cpu;
  return Math.max(1, Math.floor(coresUsable ?? coresOnline ?? 1));
}

/** Thread counts worth measuring: powers of two and all cores, ascending. */
export function threadSweep(cores: number): readonly number[] {
  const counts: number[] = [];
  for (let count = 1; count <= DENSE_UP_TO && count <= cores * CLOSE_TO_ALL; count *= 2) {
    counts.push(count);
  }
  return [...counts, cores];
}

/** What was asked for without repetitions, or the sweep up to what the profile finds useful. */
export function threadCounts(
  asked: readonly number[] | undefined,
  facts: PlanFacts,
  profile: PlanProfile,
): readonly number[] {
  if (asked === undefined || asked.length === 0) {
    return threadSweep(Math.min(usableCores(facts), profile.threads.max ?? Infinity));
  }
  return [...new Set(asked)].toSorted((a, b) => a - b);
}
