import { AgentError } from '../util/errors.ts';

/**
 * UNREACHABLE: no connection, or lost. REFUSED: the broker said no (version, client id).
 * NOT_AUTHORIZED: user, password or ACL. TLS: certificates. TIMEOUT: silence. TOO_LARGE: message
 * over a limit. QUOTA: no more for now. BAD_URL: the URL itself, before any connection.
 */
export type ReportErrorCode =
  | 'UNREACHABLE'
  | 'REFUSED'
  | 'NOT_AUTHORIZED'
  | 'TLS'
  | 'TIMEOUT'
  | 'TOO_LARGE'
  | 'QUOTA'
  | 'BAD_URL';

/** A report could not be published. The message is one line and never holds a password. */
export class ReportError extends AgentError {
  override readonly name = 'ReportError';
  override readonly code: ReportErrorCode;

  constructor(code: ReportErrorCode, message: string, cause?: unknown) {
    super(code, message, { cause, kind: code === 'BAD_URL' ? 'input' : 'failure' });
    this.code = code;
  }
}
