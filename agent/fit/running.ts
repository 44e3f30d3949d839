import type { RoundLimits } from '../bench/latency.ts';
import { sampleBeside, type Sample } from '../bench/sampling.ts';
import { summarize } from '../bench/statistics.ts';
import { mayRepeat, throttleReasons, turnClock, type ClockReference } from '../bench/throttle.ts';
import { turnFigures, type Turn, type TurnFigures } from '../bench/turns.ts';
import type { CandidateRow, LatencyMs } from '../contracts/bench.ts';
import { SAMPLE_TIMEOUT_MS, type FitWorker } from './children.ts';
import { coolDown, type Machine } from './machine.ts';
import type { Candidate, Hooks } from './types.ts';

/** What measuring one candidate gave. */
export interface Measurement extends TurnFigures, Pick<CandidateRow, 'throttled'> {
  readonly latencyMs: LatencyMs;
  readonly loadMs: number;
  readonly peakRssBytes: number | null;
  /** Time in our own loop per inference. */
  readonly ownOverheadMs: number;
}

/** A candidate in its file. */
export interface Entry {
  readonly candidate: Candidate;
  readonly path: string;
  readonly bytes: number;
}

/** A candidate whose model is open in a child of its own. */
export interface Running extends Entry {
  /** What is to be known of how the model runs. */
  readonly notes: readonly string[];
  readonly worker: FitWorker;
  readonly loadMs: number;
  readonly before: Sample;
  readonly turns: Turn[];
  /** Of turns that were taken again. */
  readonly repeated: { readonly reasons: Set<string>; turns: number; waitedSeconds: number };
}

/** One turn; where heat slowed it down, again once the machine is cool, as far as waiting goes. */
export async function takeTurn(
  one: Running,
  limits: RoundLimits,
  machine: Machine,
  hooks: Hooks,
): Promise<Turn> {
  const timeoutMs = limits.maxTimeMs + SAMPLE_TIMEOUT_MS;
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- again only after cooling
    const sampled = await sampleBeside(machine.instruments, () =>
      one.worker.call('round', { limits }, { timeoutMs }),
    );
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

function clockReference({ turns }: Running, machine: Machine): ClockReference {
  const { steadyClock, governor } = machine.instruments.heat;
  const unhurt = turns.filter(({ reasons }) => reasons.length === 0);
  return {
    limitHz: machine.start.limitHz,
    // A clock that may boost falls for other reasons than heat; such processors count those themselves.
    turnsHz: steadyClock ? unhurt.flatMap(({ sampled }) => turnClock(sampled) ?? []) : [],
    heldAtLimit: steadyClock && governor === 'performance',
  };
}

/** The figures of all its turns. */
export function finish(one: Running, machine: Machine): Measurement {
  const { turns, loadMs, before, worker, repeated } = one;
  const rounds = turns.map(({ sampled }) => sampled.result);
  const latencies = rounds.flatMap(({ latenciesMs }) => [...latenciesMs]);
  const ownMs = rounds.reduce((sum, round) => sum + round.ownMs, 0);
  const { instruments, idleMilliwatts } = machine;
  const slowed = turns.filter(({ reasons }) => reasons.length > 0);
  const reasons = new Set([...repeated.reasons, ...slowed.flatMap((turn) => turn.reasons)]);
  const throttled = {
    reasons: [...reasons],
    turns: slowed.length,
    repeatedTurns: repeated.turns,
    waitedSeconds: repeated.waitedSeconds,
  };
  return {
    latencyMs: summarize(latencies),
    loadMs,
    peakRssBytes: worker.peakRssBytes() ?? null,
    ownOverheadMs: ownMs / latencies.length,
    ...turnFigures(turns, before, { source: instruments.meter?.source ?? null, idleMilliwatts }),
    ...(reasons.size === 0 ? {} : { throttled }),
  };
}
