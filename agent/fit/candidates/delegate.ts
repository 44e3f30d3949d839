import type { DelegateOptions } from '../../runtime/types.ts';
import type { Facts } from '../../contracts/facts.ts';
import type { Model } from '../../model/open.ts';
import { recognizeTflite } from '../../quantize/tflite/recognize.ts';
import { EDGE_TPU_DELEGATE, noEdgeTpu, usableEdgeTpu } from './edgetpu.ts';
import { FitError } from '../errors.ts';
import type { Candidate } from '../types.ts';

/** @throws FitError where a delegate was asked for and the model is not for TFLite */
export function checkDelegate(delegate: DelegateOptions | undefined, format: string): void {
  if (delegate === undefined || format === 'tflite') return;
  const message = `--delegate is for TFLite models, and this one is ${format}: leave it out`;
  throw new FitError('bad-option', message);
}

/**
 * The delegate that a model is to be run with: the one asked for, else the Edge TPU's where the model
 * is compiled for it.
 * @throws FitError where a delegate does not fit the model, or the model needs a chip that is not here
 */
export function delegateFor(
  asked: DelegateOptions | undefined,
  { model, path }: { readonly model: Model; readonly path: string },
  facts: Pick<Facts, 'accelerators'>,
): DelegateOptions | undefined {
  checkDelegate(asked, model.format);
  if (asked !== undefined || model.format !== 'tflite') return asked;
  if (recognizeTflite(model).kind !== 'edgetpu-compiled') return undefined;
  if (usableEdgeTpu(facts) !== undefined) return EDGE_TPU_DELEGATE;
  const advice = 'give the file that it was compiled from, or name a delegate with --delegate';
  throw new FitError(
    'no-accelerator',
    `${path} is compiled for the Edge TPU, and ${noEdgeTpu(facts)}: ${advice}`,
  );
}

/** Candidates with the library that takes over what it can of them; those that have one keep it. */
export function withDelegate(
  candidates: readonly Candidate[],
  delegate: DelegateOptions | undefined,
): readonly Candidate[] {
  if (delegate === undefined) return candidates;
  const pairs = Object.entries(delegate.options).map(([key, value]) => `${key}=${value}`);
  const options = pairs.length === 0 ? '' : ` (${pairs.join(', ')})`;
  return candidates.map((one) =>
    one.delegate !== undefined || one.runtime !== 'tflite'
      ? one
      : { ...one, delegate, why: `${one.why}; with the delegate ${delegate.path}${options}` },
  );
}
