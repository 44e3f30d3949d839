import { AgentError } from '../util/errors.ts';

export type HardwareErrorCode =
  'ROOT_NOT_A_FOLDER' | 'NONSENSE' | 'NO_MACHINE_ID' | 'BAD_PROFILE' | 'NO_PROFILE';

/** What this room raises on purpose: a bad root, a bad profile, a machine that has no identity. */
export class HardwareError extends AgentError {
  override readonly name = 'HardwareError';
  override readonly code: HardwareErrorCode;

  constructor(
    code: HardwareErrorCode,
    message: string,
    options?: { readonly cause?: unknown; readonly kind?: 'input' | 'failure' },
  ) {
    super(code, message, options);
    this.code = code;
  }
}

/** A file was there but did not hold what its format promises. Ends up as an unknown fact. */
export function nonsense(expected: string, got: string): HardwareError {
  const shown = JSON.stringify(got.trim().slice(0, 40));
  return new HardwareError('NONSENSE', `expected ${expected}, got ${shown}`);
}
