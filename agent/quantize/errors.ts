import { AgentError } from '../util/errors.ts';

export type QuantizeErrorCode =
  | 'ALREADY_QUANTIZED'
  | 'NOTHING_TO_QUANTIZE'
  | 'NOT_CONVERTIBLE'
  | 'NOT_INTEGER'
  | 'OLD_OPSET'
  | 'NO_STATISTICS';

/** A model that cannot be quantized as asked. */
export class QuantizeError extends AgentError {
  override readonly name = 'QuantizeError';

  constructor(code: QuantizeErrorCode, message: string, cause?: unknown) {
    super(code, message, { cause });
  }
}
