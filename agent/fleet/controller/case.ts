import type { Rollout } from '../../contracts/rollout.ts';
import type { Execution, HandedOut } from '../rollouts/execution.ts';
import type { RolloutState } from '../rollouts/state.ts';
import type { KeptDocument } from './store/rollouts.ts';

/** A rollout at work. */
export interface Case {
  state: RolloutState;
  /** The state as it is in the store. */
  kept: string | null;
  readonly executions: Map<string, Execution>;
  readonly documents: Map<string, KeptDocument>;
  /** Devices that have spoken since it was written last. */
  readonly heard: Set<string>;
  /** Jobs that were taken for replays, and the lowest counter that the device would have taken. */
  readonly replayed: Map<string, number>;
  /** Documents that are being taken away from the broker. */
  readonly clearing: Set<string>;
  /** Documents that are gone from the broker and may go from the store. */
  readonly gone: Set<string>;
  /**
   * When it is looked for ends that nobody has heard, and the wait before the look after that; by a
   * clock that nobody sets, like `toldMs`.
   */
  lookMs: number;
  patienceMs: number;
  /** What the broker has. */
  told: Rollout | null;
  toldMs: number;
}

/** A broker drops what a busy reader does not fetch: after so long without news it is asked. */
export const PATIENCE_MS = 10_000;
export const MAX_PATIENCE_MS = 300_000;

export function newCase(
  state: RolloutState,
  executions: Map<string, Execution>,
  documents: Map<string, KeptDocument>,
): Case {
  return {
    state,
    kept: null,
    executions,
    documents,
    heard: new Set(),
    replayed: new Map(),
    clearing: new Set(),
    gone: new Set(),
    lookMs: Number.NEGATIVE_INFINITY,
    patienceMs: PATIENCE_MS,
    told: null,
    toldMs: Number.NEGATIVE_INFINITY,
  };
}

/** The job of a device by its id: the deployment, or what undoes it. */
export function jobOf(execution: Execution | undefined, jobId: string): HandedOut | null {
  if (execution?.jobId === jobId) return execution;
  return execution?.back?.jobId === jobId ? execution.back : null;
}
