import { AgentError } from '../util/errors.ts';

export type ModelErrorCode =
  | 'NOT_A_MODEL'
  | 'TRUNCATED'
  | 'MALFORMED'
  | 'LIMIT'
  | 'UNSUPPORTED'
  | 'EXTERNAL_DATA'
  | 'BAD_TENSOR';

/** A model file that cannot be used. The message says where (offset, tensor or node). */
export class ModelError extends AgentError {
  override readonly name = 'ModelError';
  override readonly code: ModelErrorCode;

  constructor(code: ModelErrorCode, message: string, cause?: unknown) {
    super(code, message, { cause });
    this.code = code;
  }
}
