import type { Evaluation } from '../../bench/evaluate.ts';
import { throughputPerSecond } from '../../bench/statistics.ts';
import type { Fidelity } from '../../contracts/bench.ts';
import type { Judgements } from './judge.ts';
import type { MadeFile } from '../make/make-files.ts';
import type { Measurements } from '../measure/measure.ts';
import type { Measurement } from '../measure/running.ts';
import type { MeasuredRow } from '../types.ts';

export const IDENTICAL: Omit<Fidelity, 'samples'> = { sqnrDb: null, cosine: 1, top1Agreement: 1 };

/** All that is known of one candidate. */
export function toRow(
  { candidate, file }: MadeFile,
  judged: Judgements,
  measured: Measurements,
): MeasuredRow {
  const { id, precision, method, runtime, threads, prebuilt, why } = candidate;
  const variant = prebuilt === undefined ? {} : { variant: prebuilt.variant };
  const base = { id, precision, method, runtime, threads, ...variant, why };
  if ('error' in file) return { ...base, ...UNMEASURED, error: file.error };
  const { evaluation, integerCoverage, error } = judged.byPath.get(file.path) ?? {
    evaluation: null,
    integerCoverage: null,
  };
  const measurement = measured.rows.get(id) ?? error ?? 'it was not measured';
  const failure = typeof measurement === 'string' ? measurement : error;
  const float = judged.byPath.get(judged.floatPath)?.evaluation ?? null;
  const isFloat = file.path === judged.floatPath;
  return {
    ...base,
    bytes: file.bytes,
    ...(typeof measurement === 'string' ? NO_FIGURES : figures(measurement)),
    integerCoverage,
    fidelity:
      isFloat && evaluation !== null
        ? { ...IDENTICAL, samples: evaluation.samples }
        : (evaluation?.fidelity ?? null),
    accuracy: accuracyOf(evaluation, float),
    ...(failure === undefined ? {} : { error: failure }),
  };
}

export function accuracyOf(
  own: Evaluation | null,
  float: Evaluation | null,
): MeasuredRow['accuracy'] {
  const [mine, reference] = [own?.accuracy ?? null, float?.accuracy ?? null];
  if (mine === null || reference === null) return null;
  return { ...mine, drop: reference.value - mine.value };
}

export const NO_FIGURES = {
  latencyMs: null,
  throughputPerSecond: null,
  loadMs: null,
  peakRssBytes: null,
  ownOverheadMs: null,
  heat: null,
} as const;

export const UNMEASURED = {
  ...NO_FIGURES,
  bytes: null,
  integerCoverage: null,
  fidelity: null,
  accuracy: null,
} as const;

function figures(measurement: Measurement) {
  return {
    ...measurement,
    throughputPerSecond: throughputPerSecond(measurement.latencyMs),
  };
}
