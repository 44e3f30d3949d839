import { AgentError } from '../../util/errors.ts';

/**
 * FENCED: another controller leads by now, nothing was written. IN_USE: the store belongs to another
 * process. UNAVAILABLE: the store cannot be reached. DAMAGED: it holds what nobody can read.
 */
export type StoreErrorCode = 'FENCED' | 'IN_USE' | 'UNAVAILABLE' | 'DAMAGED';

/** The controller's state cannot be read or written. Never holds a password. */
export class StoreError extends AgentError {
  override readonly name = 'StoreError';
  override readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, cause?: unknown) {
    super(code, message, { cause, kind: 'failure' });
    this.code = code;
  }
}
