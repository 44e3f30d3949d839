import { AgentError } from '../../util/errors.ts';

export type IdentityErrorCode = 'EXISTS' | 'DAMAGED' | 'BAD_CERTIFICATE' | 'BAD_INPUT';

/** A device cannot be enrolled as asked. */
export class IdentityError extends AgentError {
  override readonly name = 'IdentityError';
  override readonly code: IdentityErrorCode;

  constructor(code: IdentityErrorCode, message: string, cause?: unknown) {
    super(code, message, { cause });
    this.code = code;
  }
}
