import { AgentError } from '../../util/errors.ts';

export type RangesErrorCode =
  'not-json' | 'invalid' | 'different-model' | 'no-histogram' | 'option';

/** Collected ranges that cannot be used as asked; the message says which and what to do. */
export class RangesError extends AgentError {
  override readonly name = 'RangesError';

  constructor(code: RangesErrorCode, message: string, cause?: unknown) {
    super(code, message, { cause, kind: 'input' });
  }
}
