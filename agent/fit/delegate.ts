import type { DelegateOptions } from '../runtime/types.ts';
import { FitError } from './errors.ts';
import type { Candidate } from './types.ts';

/** @throws FitError where a delegate was asked for and the model is not for TFLite */
export function checkDelegate(delegate: DelegateOptions | undefined, format: string): void {
  if (delegate === undefined || format === 'tflite') return;
  const message = `--delegate is for TFLite models, and this one is ${format}: leave it out`;
  throw new FitError('bad-option', message);
}

/** Candidates that say which library takes over what it can of them. */
export function withDelegate(
  candidates: readonly Candidate[],
  delegate: DelegateOptions | undefined,
): readonly Candidate[] {
  if (delegate === undefined) return candidates;
  const pairs = Object.entries(delegate.options).map(([key, value]) => `${key}=${value}`);
  const options = pairs.length === 0 ? '' : ` (${pairs.join(', ')})`;
  return candidates.map((one) => ({
    ...one,
    why: `${one.why}; with the delegate ${delegate.path}${options}`,
  }));
}
