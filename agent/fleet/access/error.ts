import { AgentError } from '../../util/errors.ts';

/** Names, lists or files of access that cannot be used. */
export class AccessError extends AgentError {
  override readonly name = 'AccessError';

  constructor(
    code: 'BAD_ENTRY' | 'BAD_NAME' | 'BUSY' | 'CRL' | 'DAMAGED' | 'NOT_REVOKED' | 'RELOAD',
    message: string,
    cause?: unknown,
  ) {
    super(code, message, {
      cause,
      kind: code === 'RELOAD' || code === 'BUSY' ? 'failure' : 'input',
    });
  }
}
