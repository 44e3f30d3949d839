import { AgentError } from '../util/errors.ts';

export type TrustErrorCode =
  | 'BAD_KEY_FILE'
  | 'BAD_PASSPHRASE'
  | 'NO_PASSPHRASE'
  | 'BAD_REPOSITORY'
  | 'BAD_ROOT'
  | 'BAD_PACKAGE'
  | 'MISSING_KEY'
  | 'EXISTS'
  | 'BUSY';

/** What is wrong with a key, a repository or a package that an operator works on. */
export class TrustError extends AgentError {
  override readonly name = 'TrustError';

  constructor(code: TrustErrorCode, message: string, options: { readonly cause?: unknown } = {}) {
    super(code, message, { ...options, kind: 'input' });
  }
}
