import type { JobDocument } from '../../contracts/job.ts';
import { AgentError } from '../../util/errors.ts';
import type { Reason } from './entry.ts';

/** What a phase gets to work with. */
export interface PhaseInput {
  readonly document: JobDocument;
  /** What earlier phases found out. */
  readonly data: Readonly<Record<string, unknown>>;
  /** Why the job is on its way back; null otherwise. */
  readonly failure: Reason | null;
  readonly attempt: number;
  /** Ends with the phase's deadline, a cancellation, or the daemon. */
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, of: number) => void;
}

export interface PhaseFindings {
  /** For later phases; kept in the journal. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** For the operator; published. */
  readonly result?: Readonly<Record<string, unknown>>;
  /** Ends the job here, well: nothing more is to be done. */
  readonly done?: 'noop_already_installed' | 'dry_run_ok';
}

/** Does the work of a phase. Whatever it throws is a failure of the phase with that code. */
export type PhaseHandler = (input: PhaseInput) => Promise<PhaseFindings>;

/** A failure that a phase names itself. */
export class PhaseError extends AgentError {
  override readonly name = 'PhaseError';

  constructor(code: string, message: string, options: { readonly cause?: unknown } = {}) {
    super(code, message, { ...options, kind: 'failure' });
  }
}
