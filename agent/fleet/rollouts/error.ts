import { AgentError } from '../../util/errors.ts';

export const rolloutErrorCodes = [
  'bad_selector',
  'bad_spec',
  'bad_state',
  'exists',
  'no_devices',
  'not_complete',
  'thresholds',
  'unknown_model',
  'unknown_rollout',
] as const;

export type RolloutErrorCode = (typeof rolloutErrorCodes)[number];

/** A rollout that cannot be made or changed as asked. The code and the message go to who asked. */
export class RolloutError extends AgentError {
  override readonly name = 'RolloutError';
  override readonly code: RolloutErrorCode;

  constructor(code: RolloutErrorCode, message: string, cause?: unknown) {
    super(code, message, { cause });
    this.code = code;
  }
}
