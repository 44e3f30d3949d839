import { z } from 'zod';
import { rolloutSchema, type Rollout, type Wave } from '../../contracts/rollout.ts';
import type { DeviceRow } from '../roster/row.ts';
import type { Execution, Executions } from './execution.ts';
import { NO_JOBS } from './tally.ts';

/** What is remembered of a wave beside what everybody may read. */
const memoSchema = z.object({
  /** Failures that an operator has seen and gone on after, and how many had ended by then. */
  forgiven: z.object({ failed: z.number(), ended: z.number() }),
  /** An operator has gone on after its comparison, or the failure of a class. */
  waived: z.boolean(),
  /** What it was before it failed. */
  stoppedIn: z.enum(['running', 'soaking', 'passed']).nullable(),
  /** What had failed and ended when it was stopped. */
  stoppedAt: z.object({ failed: z.number(), ended: z.number() }).nullable(),
});

/** A rollout as the controller keeps it, without its executions. */
export const rolloutStateSchema = z.object({
  record: rolloutSchema,
  memos: z.array(memoSchema),
  /** Jobs handed out in the last minute, for the rate. */
  issued: z.array(z.object({ atMs: z.number(), count: z.number() })),
  /** Those that succeeded are being undone. */
  undo: z.boolean(),
  /** When somebody last looked for devices that have appeared. */
  lookedMs: z.number(),
  /** The last answers, by request: a request that comes again is answered again. */
  answered: z.array(
    z.object({
      requestId: z.string(),
      counter: z.number(),
      error: z.object({ code: z.string(), text: z.string() }).nullable(),
    }),
  ),
  /** Highest counter of a command that is not among them any more. */
  forgotten: z.number(),
});

export type RolloutState = z.infer<typeof rolloutStateSchema>;
export type WaveMemo = z.infer<typeof memoSchema>;

/** The devices, as far as a rollout has to know them. */
export interface Fleet {
  readonly get: (deviceId: string) => DeviceRow | undefined;
  readonly rows: () => Iterable<DeviceRow>;
  readonly isRevoked: (deviceId: string) => boolean;
}

export interface Issue {
  readonly deviceId: string;
  readonly jobId: string;
  readonly kind: 'deploy' | 'rollback';
  readonly wave: number;
}

export interface RolloutEvent {
  readonly code: string;
  readonly text: string;
}

/** What changes, and what is to be done about it. */
export interface Change {
  readonly state: RolloutState;
  readonly changed: Executions;
  /** Jobs to hand out, and documents to take away from the broker. */
  readonly issue: readonly Issue[];
  readonly clear: readonly { readonly deviceId: string; readonly jobId: string }[];
  readonly events: readonly RolloutEvent[];
}

export const NEW_MEMO: WaveMemo = {
  forgiven: { failed: 0, ended: 0 },
  waived: false,
  stoppedIn: null,
  stoppedAt: null,
};

export const EMPTY_WAVE: Omit<Wave, 'index' | 'kind' | 'percent'> = {
  state: 'scheduled',
  counts: NO_JOBS,
  classes: {},
  startedAt: null,
  soakUntil: null,
  endedAt: null,
  compared: null,
  verdict: null,
};

/** States after which a rollout is history. */
export function hasEnded({ state }: Pick<Rollout, 'state'>): boolean {
  return state === 'completed' || state === 'aborted';
}

/** Executions with changes laid over them: a step reads its own writes. */
export class Overlay {
  readonly changed = new Map<string, Execution>();
  readonly #base: Executions;

  constructor(base: Executions) {
    this.#base = base;
  }

  get(deviceId: string): Execution | undefined {
    return this.changed.get(deviceId) ?? this.#base.get(deviceId);
  }

  set(execution: Execution): void {
    this.changed.set(execution.deviceId, execution);
  }

  *all(): Iterable<Execution> {
    for (const [deviceId, execution] of this.#base) yield this.changed.get(deviceId) ?? execution;
    for (const [deviceId, execution] of this.changed) {
      if (!this.#base.has(deviceId)) yield execution;
    }
  }
}
