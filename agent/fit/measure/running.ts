import type { RoundLimits } from '../../bench/latency.ts';
import type { Turn } from '../../bench/turns.ts';
import { SAMPLE_TIMEOUT_MS, type FitWorker } from '../children.ts';
import type { Machine } from './machine.ts';
import { figuresOf, takeTurn, type Contender, type Figures } from './take-turn.ts';
import type { Candidate, Hooks } from '../types.ts';

/** What measuring one candidate gave. */
export interface Measurement extends Figures {
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
export interface Running extends Entry, Omit<Contender, 'candidate'> {
  /** What is to be known of how the model runs. */
  readonly notes: readonly string[];
  readonly worker: FitWorker;
  readonly loadMs: number;
}

/** One turn of a model in its child. */
export function runRound(
  one: Running,
  limits: RoundLimits,
  machine: Machine,
  hooks: Hooks,
): Promise<Turn> {
  const timeoutMs = limits.maxTimeMs + SAMPLE_TIMEOUT_MS;
  const round = () => one.worker.call('round', { limits }, { timeoutMs });
  return takeTurn(one, round, machine, hooks);
}

/** The figures of all its turns. */
export function finish(one: Running, machine: Machine): Measurement {
  const { turns, loadMs, worker } = one;
  const figures = figuresOf(one, machine);
  const ownMs = turns.reduce((sum, { sampled }) => sum + sampled.result.ownMs, 0);
  return {
    ...figures,
    loadMs,
    peakRssBytes: worker.peakRssBytes() ?? null,
    ownOverheadMs: ownMs / figures.latencyMs.count,
  };
}
