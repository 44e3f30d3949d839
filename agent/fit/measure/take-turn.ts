// Turns of whatever is measured: watched, marked where the machine was slowed down, taken again once it
// is cool.
import { sampleBeside, type Sample } from '../../bench/sampling.ts';
import { summarize } from '../../bench/statistics.ts';
import {
  mayRepeat,
  throttleReasons,
  turnClock,
  type ClockReference,
  type Processor,
} from '../../bench/throttle.ts';
import {
  onlyInferring,
  turnFigures,
  type Turn,
  type TurnFigures,
  type Work,
} from '../../bench/turns.ts';
import type { CandidateRow, LatencyMs } from '../../contracts/bench.ts';
import { coolDown, type Machine } from './machine.ts';
import type { Candidate, Hooks } from '../types.ts';

/** A candidate that is measured turn by turn. */
export interface Contender<W extends Work = Work> {
  readonly candidate: Pick<Candidate, 'id'>;
  /** What does the work. */
  readonly processor: Processor;
  /** What was seen before it was loaded. */
  readonly before: Sample;
  readonly turns: Turn<W>[];
  /** Of turns that were taken again. */
  readonly repeated: { readonly reasons: Set<string>; turns: number; waitedSeconds: number };
}

/** No turn has been taken again yet. */
export function noneRepeated(): Contender['repeated'] {
  return { reasons: new Set(), turns: 0, waitedSeconds: 0 };
}

/** One turn; where heat slowed it down, again once the machine is cool, as far as waiting goes. */
export async function takeTurn<W extends Work>(
  one: Contender<W>,
  work: () => Promise<W>,
  machine: Machine,
  hooks: Hooks,
): Promise<Turn<W>> {
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- again only after cooling
    const sampled = onlyInferring(await sampleBeside(machine.instruments, work));
    const reasons = throttleReasons(sampled, clockReference(one, machine));
    if (reasons.length === 0 || !mayRepeat(reasons, one.repeated.turns, machine.budget)) {
      return { sampled, reasons };
    }
    for (const reason of reasons) one.repeated.reasons.add(reason);
    // oxlint-disable-next-line no-await-in-loop -- waiting is the point
    one.repeated.waitedSeconds += await coolDown(machine, one.candidate.id, reasons, hooks);
    one.repeated.turns += 1;
  }
}

function clockReference({ turns, processor }: Contender, machine: Machine): ClockReference {
  const { steadyClock, governor } = machine.instruments.heat;
  const unhurt = turns.filter(({ reasons }) => reasons.length === 0);
  const turnsHz = unhurt.flatMap(({ sampled }) => turnClock(sampled, processor) ?? []);
  return {
    processor,
    limitHz: machine.start.limitHz,
    // A clock that may boost falls for other reasons than heat; such processors count those themselves.
    turnsHz: steadyClock ? turnsHz : [],
    // The limit is that of the cores.
    heldAtLimit: processor === 'cpu' && steadyClock && governor === 'performance',
  };
}

export interface Figures extends TurnFigures, Pick<CandidateRow, 'throttled'> {
  readonly latencyMs: LatencyMs;
}

/** The figures of all its turns. */
export function figuresOf(one: Contender, { instruments, idleMilliwatts }: Machine): Figures {
  const { turns, before, processor } = one;
  const latencies = turns.flatMap(({ sampled }) => [...sampled.result.latenciesMs]);
  // Counters are those of an x86 processor: a GPU beside it is not in them.
  const known =
    processor === 'gpu' && instruments.meter?.counts === true ? null : instruments.meter;
  return {
    latencyMs: summarize(latencies),
    ...turnFigures(turns, before, { source: known?.source ?? null, idleMilliwatts }),
    ...throttledOf(one),
  };
}

function throttledOf({ turns, repeated }: Contender): Pick<CandidateRow, 'throttled'> {
  const slowed = turns.filter(({ reasons }) => reasons.length > 0);
  const reasons = new Set([...repeated.reasons, ...slowed.flatMap((turn) => turn.reasons)]);
  if (reasons.size === 0) return {};
  return {
    throttled: {
      reasons: [...reasons],
      turns: slowed.length,
      repeatedTurns: repeated.turns,
      waitedSeconds: repeated.waitedSeconds,
    },
  };
}
