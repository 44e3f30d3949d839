import { AgentError } from '../../util/errors.ts';

export type SampleErrorCode =
  | 'missing'
  | 'unreadable'
  | 'empty'
  | 'unsupported'
  | 'shape'
  | 'dtype'
  | 'not-finite'
  | 'range'
  | 'labels'
  | 'truncated'
  | 'command'
  | 'flags';

/** Samples that cannot be used; the message names the file and says what was expected. */
export class SampleError extends AgentError {
  override readonly name = 'SampleError';

  constructor(code: SampleErrorCode, message: string, cause?: unknown) {
    super(code, message, { cause, kind: 'input' });
  }
}

/** `[1, 3, ?, 224]`: a shape as people write it; unknown dimensions are question marks or names. */
export function shapeText(shape: readonly (number | string | null)[]): string {
  return `[${shape.map((dim) => dim ?? '?').join(', ')}]`;
}
