import { AgentError } from '../../util/errors.ts';

/**
 * NO_CONTROLLER: nobody leads. NO_ANSWER: somebody leads and is silent. REFUSED: the controller or the
 * device said no. UNKNOWN_DEVICE: the broker keeps nothing of it. NO_COUNTER: its twin does not say
 * which counter a document needs. NOTHING_RUNS: it has no model. LOST: the connection ended.
 */
export type OperatorErrorCode =
  | 'NO_CONTROLLER'
  | 'NO_ANSWER'
  | 'REFUSED'
  | 'UNKNOWN_DEVICE'
  | 'UNKNOWN_ROLLOUT'
  | 'NO_COUNTER'
  | 'NOTHING_RUNS'
  | 'NO_ACCESS'
  | 'LOST';

/** What an operator asked for could not be done. One line that says what to do. */
export class OperatorError extends AgentError {
  override readonly name = 'OperatorError';
  override readonly code: OperatorErrorCode;

  constructor(code: OperatorErrorCode, message: string, cause?: unknown) {
    super(code, message, { cause, kind: code.startsWith('UNKNOWN_') ? 'input' : 'failure' });
    this.code = code;
  }
}
