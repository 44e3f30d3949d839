import { AgentError } from '../util/errors.ts';

export type BenchErrorCode =
  /** The outputs of two models cannot be compared. */
  | 'OUTPUT_MISMATCH'
  /** The task of the manifest, or a label, does not fit the model's output. */
  | 'BAD_TASK'
  /** The file of reference outputs is damaged or belongs to other samples. */
  | 'BAD_REFERENCE'
  /** The runtime's profile cannot be read. */
  | 'BAD_PROFILE';

export class BenchError extends AgentError {
  override readonly name = 'BenchError';

  constructor(code: BenchErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(code, message, {
      cause: options?.cause,
      kind: code === 'BAD_TASK' ? 'input' : 'failure',
    });
  }
}
