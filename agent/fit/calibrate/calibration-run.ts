import type { Collected, ReducedTensors } from '../../calibration/collect.ts';
import type { AccumulatorState, ObserverNeeds } from '../../calibration/observers/accumulator.ts';
import type { Collection } from '../../calibration/observers/statistics.ts';
import { LOAD_TIMEOUT_MS } from '../children.ts';
import type { FitWorker } from '../children.ts';
import { counted } from '../progress.ts';
import type { SampleJob } from '../samples/sample-jobs.ts';
import type { Scratch } from '../scratch.ts';
import type { Hooks } from '../types.ts';

/** What to calibrate on, and where; the same for every format of models. */
export interface CalibrationRun {
  readonly needs: ObserverNeeds;
  readonly job: SampleJob;
  /** How many samples there are; null when nobody knows. */
  readonly count: number | null;
  readonly threads: number;
  /** Values that may leave the runtime in one run. */
  readonly exposedBytes?: number | undefined;
  readonly worker: FitWorker;
  readonly scratch: Scratch;
  readonly hooks: Hooks;
}

/** One pass over the samples: which tensors of the model file `path` to look at, and how. */
export interface CalibrationPass {
  readonly path: string;
  readonly job: SampleJob;
  readonly tensors: readonly string[];
  readonly reduced?: ReducedTensors | undefined;
  readonly needs: ObserverNeeds;
  /** Other passes over the same samples follow. */
  readonly again: boolean;
}

const PHASE = 'calibrating';

/** Runs a pass in the worker; where it is known which of how many it is, progress is that of all. */
export async function runPass(
  { worker, hooks, threads, count }: CalibrationRun,
  pass: CalibrationPass,
  place: { readonly index: number; readonly of: number } = { index: 0, of: 1 },
): Promise<Collected> {
  const before = place.index * (count ?? 0);
  const all = count === null ? {} : { total: count * place.of };
  hooks.progress({ phase: PHASE, done: before, ...all });
  return worker.call(
    'calibrate',
    { ...pass, reduced: pass.reduced, threads },
    {
      timeoutMs: LOAD_TIMEOUT_MS,
      onProgress: (value) => {
        const { done = 0, total } = counted(value);
        hooks.progress({ phase: PHASE, total, ...all, done: before + done });
      },
    },
  );
}

/** What several passes found. */
export class Findings {
  readonly #states = new Map<string, AccumulatorState>();
  #samples = 0;

  keep({ samples, tensors }: Collection): void {
    this.#samples = Math.max(this.#samples, samples);
    for (const [name, state] of tensors) this.#states.set(name, state);
  }

  /** All of it, in the order of `names`. */
  collection(names: readonly string[]): Collection {
    const found = names.flatMap((name) => {
      const state = this.#states.get(name);
      return state === undefined ? [] : [[name, state] as const];
    });
    return { samples: this.#samples, tensors: new Map(found) };
  }
}
