import { contentsOf } from '../../model/contents.ts';
import type { Model } from '../../model/open.ts';
import type { ComparedTensors } from './compare-tensors.ts';
import { FitError } from '../errors.ts';
import type { SampleJob } from '../samples/sample-jobs.ts';
import type { Subject } from '../subject.ts';
import { summarize } from '../summary.ts';

/** The two models as the user called them. */
export interface CompareNames {
  readonly float: string;
  readonly quantized: string;
}

function refusal(message: string): FitError {
  return new FitError('not-comparable', message);
}

/** Refuses models that stand in the wrong order, or that take other inputs. Throws `FitError`. */
export function checkModels(
  float: Model,
  quantized: Model,
  { float: a, quantized: b }: CompareNames,
): void {
  if (isSmall(float) && !isSmall(quantized)) {
    throw refusal(`${a} is quantized and ${b} is not: give the float model first`);
  }
  const known = inputNames(float);
  const extra = inputNames(quantized).find((name) => !known.includes(name));
  if (extra === undefined) return;
  throw refusal(
    `${b} is not made from ${a}: its input '${extra}' is none of ${known.join(', ') || 'no inputs'}`,
  );
}

function isSmall(model: Model): boolean {
  return summarize(model, { name: '', bytes: 0 }).precision !== 'fp32';
}

function inputNames(model: Model): readonly string[] {
  return contentsOf(model).inputs.map(({ name }) => name);
}

/** What to run on: the evaluation samples, else those of the calibration, up to the limit. */
export function samplesToCompare(
  { samples, evaluationInfo }: Pick<Subject, 'samples' | 'evaluationInfo'>,
  limit: number,
  { float }: CompareNames,
): { readonly job: SampleJob; readonly source: string } {
  const job = samples.evaluation;
  if (job === null) {
    throw new FitError(
      'bad-samples',
      `comparing needs samples: give --samples, or a manifest in place of ${float}`,
    );
  }
  const [from, count] = [job.from ?? 0, evaluationInfo?.count ?? null];
  const all = evaluationInfo?.describe ?? '';
  if (count === null || count <= limit) return { job, source: all };
  return { job: { ...job, from, to: from + limit }, source: `the first ${limit} of ${all}` };
}

/** Refuses models of which the second cannot come from the first. Throws `FitError`. */
export function checkPairs(pairs: readonly unknown[], { float, quantized }: CompareNames): void {
  if (pairs.length > 0) return;
  throw refusal(
    `${quantized} is not made from ${float}, or its tensors were renamed: they have none in common`,
  );
}

/** Throws `FitError` where nothing came out. */
export function checkCompared(
  { samples, tensors }: ComparedTensors,
  { float, quantized }: CompareNames,
): void {
  if (samples === 0) throw new FitError('bad-samples', 'comparing needs samples: there are none');
  if (tensors.length > 0) return;
  const why = 'no tensor has the same size in both';
  throw refusal(`${quantized} is not made from ${float}: ${why}`);
}
