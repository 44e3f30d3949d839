import { codeOf, messageOf } from '../util/errors.ts';
import { RuntimeFailure } from './errors.ts';

/** The error for a model file that cannot be opened at all. */
export function missingFile(modelPath: string, error: unknown): RuntimeFailure {
  const why = codeOf(error) === 'ENOENT' ? 'no such file' : messageOf(error);
  return new RuntimeFailure('MISSING_FILE', `cannot load ${modelPath}: ${why}`, { cause: error });
}
