import type { Rollout } from '../../contracts/rollout.ts';
import type { RolloutState } from './state.ts';
import type { ClassTally, Tally } from './tally.ts';

/** Classes named in a wave; the others are counted together. */
const MAX_CLASSES = 12;
const MAX_CLASS_CHARACTERS = 64;

/**
 * The state with its counts brought up to date. `rev` and `ts` change only when something else does:
 * the record is retained, and each change of it is a message.
 */
export function withTally(state: RolloutState, tally: Tally, nowMs: number): RolloutState {
  const { record } = state;
  const waves = record.waves.map((wave) => {
    const own = tally.waves[wave.index];
    if (own === undefined) return wave;
    return { ...wave, counts: own.counts, classes: classesOf(own.classes) };
  });
  const { counts, offline, failures } = tally;
  return { ...state, record: stamped({ ...record, waves, counts, offline, failures }, nowMs) };
}

function classesOf(classes: ReadonlyMap<string, ClassTally>): Record<string, number> {
  const frequent = [...classes].toSorted(([, a], [, b]) => b.targets - a.targets);
  const named = frequent
    .slice(0, MAX_CLASSES)
    .map(([name, { targets }]) => [name.slice(0, MAX_CLASS_CHARACTERS), targets] as const);
  const rest = frequent.slice(MAX_CLASSES).reduce((sum, [, { targets }]) => sum + targets, 0);
  return Object.fromEntries(rest === 0 ? named : [...named, ['other', rest]]);
}

function stamped(record: Rollout, nowMs: number): Rollout {
  return { ...record, ts: new Date(nowMs).toISOString() };
}

/** Whether two records say the same, whenever they were made. */
export function saysTheSame(a: Rollout, b: Rollout): boolean {
  return bare(a) === bare(b);
}

function bare({ rev: _rev, ts: _ts, epoch: _epoch, ...rest }: Rollout): string {
  return JSON.stringify(rest);
}

/** The next revision of a record. */
export function revised(record: Rollout, before: Rollout | null, epoch: number): Rollout {
  return { ...record, epoch, rev: (before?.rev ?? 0) + 1 };
}
