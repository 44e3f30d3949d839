import { AgentError, type ErrorKind } from '../util/errors.ts';

export type FitErrorCode =
  | 'no-runtime'
  | 'no-accelerator'
  | 'needs-labels'
  | 'bad-samples'
  | 'bad-manifest'
  | 'bad-output'
  | 'bad-option'
  | 'bad-recipe'
  | 'nothing-chosen'
  | 'not-comparable'
  | 'no-model-file';

/** What went wrong while planning, measuring, deciding or keeping a model. */
export class FitError extends AgentError {
  override readonly name = 'FitError';
  override readonly code: FitErrorCode;

  constructor(
    code: FitErrorCode,
    message: string,
    options?: { readonly cause?: unknown; readonly kind?: ErrorKind },
  ) {
    super(code, message, options);
    this.code = code;
  }
}
