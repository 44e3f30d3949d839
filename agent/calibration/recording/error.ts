import { AgentError } from '../../util/errors.ts';

/** As an application reads them in an answer. */
export type RecordErrorCode =
  | 'BAD_HEADER'
  | 'UNKNOWN_MODEL'
  | 'NO_INPUTS'
  | 'BAD_INPUTS'
  | 'BAD_SHAPE'
  | 'BAD_DTYPE'
  | 'NOT_FINITE'
  | 'TOO_LARGE'
  | 'TRUNCATED'
  | 'TIMEOUT'
  | 'BUSY'
  | 'DISK'
  | 'FAILED';

/** A sample that is not taken, or a recorder that cannot be reached. */
export class RecordError extends AgentError {
  override readonly name = 'RecordError';
  override readonly code: RecordErrorCode;

  constructor(
    code: RecordErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly kind?: 'input' | 'failure' } = {},
  ) {
    super(code, message, options);
    this.code = code;
  }
}
