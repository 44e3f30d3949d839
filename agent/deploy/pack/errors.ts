import { AgentError, type ErrorKind } from '../../util/errors.ts';

export type PackErrorCode =
  | 'output-exists'
  | 'output-inside'
  | 'no-version'
  | 'bad-name'
  | 'bad-variant'
  | 'no-compiler'
  | 'not-for-edge-tpu'
  | 'compiler-failed';

/** What went wrong while making a model package. */
export class PackError extends AgentError {
  override readonly name = 'PackError';
  override readonly code: PackErrorCode;

  constructor(
    code: PackErrorCode,
    message: string,
    options?: { readonly cause?: unknown; readonly kind?: ErrorKind },
  ) {
    super(code, message, options);
    this.code = code;
  }
}
