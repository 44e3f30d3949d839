import type { BenchReport } from '../../contracts/bench.ts';
import { FitError } from '../errors.ts';
import { apart, bytesText, counted, msAgainst } from '../report/words.ts';
import type { MeasuredRow, Objective, ObjectiveRequest } from '../types.ts';

/** Points of the task metric that a candidate may lose where labelled samples exist. */
export const DEFAULT_MAX_DROP = 1;
/**
 * Where no labels exist. 20 dB: the error carries 1% of the output's power. INT8 done well keeps 20
 * to 40 dB; classifiers start to change their answers below about 15.
 */
export const DEFAULT_MIN_SQNR_DB = 20;

const POINTS = 100;
/** Differences below this are rounding of the subtraction, not of the model. */
const EPSILON = 1e-9;

/**
 * Fills in the defaults. Throws `FitError` when a limit was given that these samples cannot check; a
 * gate of the package is left out then (gateWarnings tells).
 */
export function resolveObjective(request: ObjectiveRequest, labelled: boolean): Objective {
  if (labelled) {
    return { ...request, maxAccuracyDrop: request.maxAccuracyDrop ?? DEFAULT_MAX_DROP };
  }
  const { gates = [] } = request;
  if (gates.includes('maxAccuracyDrop')) {
    const others = gates.filter((name) => name !== 'maxAccuracyDrop');
    return resolveObjective({ ...request, maxAccuracyDrop: null, gates: others }, labelled);
  }
  if (request.maxAccuracyDrop !== null) {
    throw new FitError(
      'needs-labels',
      '--max-accuracy-drop needs labelled samples and these have no labels: use --min-sqnr instead',
    );
  }
  return { ...request, minSqnrDb: request.minSqnrDb ?? DEFAULT_MIN_SQNR_DB };
}

/** The file as it was given: nothing was taken from its accuracy. */
export function isReference(row: Pick<MeasuredRow, 'method' | 'variant'>): boolean {
  return row.method === 'none' && row.variant === undefined;
}

/** Why a row is not accurate enough, or undefined. The reference always is. */
export function accuracyObstacle(row: MeasuredRow, objective: Objective): string | undefined {
  if (isReference(row)) return undefined;
  return dropObstacle(row, objective.maxAccuracyDrop) ?? sqnrObstacle(row, objective.minSqnrDb);
}

function dropObstacle(row: MeasuredRow, allowed: number | null): string | undefined {
  if (allowed === null) return undefined;
  const { accuracy } = row;
  if (accuracy === null || !Number.isFinite(accuracy.drop)) {
    return 'its accuracy is unknown: no labelled sample could be evaluated';
  }
  const points = accuracy.drop * POINTS;
  if (points <= allowed + EPSILON) return undefined;
  const [lost, limit] = apart(points, allowed);
  const note = sampleNote(accuracy, samplesOf(row), allowed);
  return `loses ${lost} points of ${accuracy.metric} (allowed ${limit})${note}`;
}

function sqnrObstacle(row: MeasuredRow, floor: number | null): string | undefined {
  if (floor === null) return undefined;
  const { fidelity } = row;
  if (fidelity === null || Number.isNaN(fidelity.sqnrDb ?? 0)) {
    return 'its error against the float model is unknown (no samples, or the float model did not run)';
  }
  if (fidelity.sqnrDb === null || fidelity.sqnrDb >= floor) return undefined;
  const [found, limit] = apart(fidelity.sqnrDb, floor);
  return `SQNR ${found} dB is under the floor of ${limit} dB`;
}

/** How accurate a row is, in the words of the limit that applies; empty where none does. */
export function accuracyWords(row: MeasuredRow, objective: Objective): string {
  if (isReference(row)) return '';
  if (objective.maxAccuracyDrop !== null && row.accuracy !== null) {
    const points = row.accuracy.drop * POINTS;
    const change = Math.abs(points) < 0.05 ? 'loses nothing' : '';
    const amount = `${Math.abs(points).toFixed(1)} points`;
    const words = change || (points > 0 ? `loses ${amount}` : `gains ${amount}`);
    const note = sampleNote(row.accuracy, samplesOf(row), objective.maxAccuracyDrop);
    return `${words} of ${row.accuracy.metric} (allowed ${objective.maxAccuracyDrop.toFixed(1)})${note}`;
  }
  const sqnr = row.fidelity?.sqnrDb;
  if (sqnr === null) return 'identical to the float model';
  if (sqnr === undefined || objective.minSqnrDb === null) return '';
  return `SQNR ${sqnr.toFixed(1)} dB (floor ${objective.minSqnrDb})`;
}

function samplesOf(row: MeasuredRow): number | undefined {
  return row.accuracy?.samples ?? row.fidelity?.samples;
}

interface Uncertainty {
  readonly flipPoints: number;
  readonly errorPoints: number;
}

/**
 * How coarse a share over `samples` is, in points: what one sample is worth, and the binomial
 * standard error sqrt(p (1 - p) / n).
 */
export function uncertainty(value: number, samples: number): Uncertainty {
  const share = Math.min(1, Math.max(0, value));
  return {
    flipPoints: POINTS / samples,
    errorPoints: POINTS * Math.sqrt((share * (1 - share)) / samples),
  };
}

/** Says how many samples a drop rests on where they are too few for the limit. */
function sampleNote(
  accuracy: { readonly value: number },
  samples: number | undefined,
  allowed: number,
): string {
  if (samples === undefined || samples < 1) return '';
  const { flipPoints, errorPoints } = uncertainty(accuracy.value, samples);
  if (Math.max(flipPoints, errorPoints) <= allowed) return '';
  const error = `standard error ${errorPoints.toFixed(1)}`;
  const flip = `one sample is ${flipPoints < 0.1 ? flipPoints.toFixed(2) : flipPoints.toFixed(1)}`;
  return ` over ${counted(samples, 'sample')} (${error}, ${flip})`;
}

/**
 * A float model that is right less often has most likely been given wrong inputs or labels: even among
 * a thousand classes, models that are in use reach several times this.
 */
const IMPLAUSIBLE_SHARE = 0.1;
/** A model that is right half the time is wrong on all of ten once in a thousand. */
const ENOUGH_FOR_A_SHARE = 10;

/**
 * Warns when the model as it was given is hardly ever right: then no drop means anything. Of classes
 * only: a whole text without a mistake is much to ask of a good model.
 */
export function implausibleTaskWarning(rows: readonly MeasuredRow[]): string | undefined {
  const row = rows.find((one) => isReference(one) && one.accuracy !== null);
  const accuracy = row?.accuracy ?? null;
  if (row === undefined || accuracy === null || accuracy.metric !== 'top1') return undefined;
  const enough = (samplesOf(row) ?? 0) >= ENOUGH_FOR_A_SHARE;
  if (!enough || !(accuracy.value < IMPLAUSIBLE_SHARE)) return undefined;
  const percent = (accuracy.value * POINTS).toFixed(1);
  return `the model as it was given reaches only ${percent} % of ${accuracy.metric}: check how inputs are prepared (--mean, --std, --color, or the manifest) and what labels count from (task.labelOffset)`;
}

/** Warns once when the samples are too few to tell a drop of the allowed size. */
export function fewSamplesWarning(
  rows: readonly MeasuredRow[],
  objective: Objective,
): string | undefined {
  const allowed = objective.maxAccuracyDrop;
  const row = rows.find((one) => one.accuracy !== null && samplesOf(one) !== undefined);
  const accuracy = row?.accuracy ?? null;
  const samples = row === undefined ? 0 : (samplesOf(row) ?? 0);
  if (allowed === null || accuracy === null || samples < 1) return undefined;
  const { flipPoints, errorPoints } = uncertainty(accuracy.value, samples);
  if (Math.max(flipPoints, errorPoints) <= allowed) return undefined;
  return `${accuracy.metric} rests on ${counted(samples, 'labelled sample')}: its standard error is ${errorPoints.toFixed(1)} points and one sample is ${flipPoints.toFixed(1)}, so a drop of ${allowed.toFixed(1)} may be chance`;
}

/** Why a row answers too late or needs too much memory, or undefined. */
export function limitObstacle(row: MeasuredRow, objective: Objective): string | undefined {
  const found = [latencyObstacle(row, objective), memoryObstacle(row, objective)];
  const reasons = found.filter((reason) => reason !== undefined);
  return reasons.length === 0 ? undefined : reasons.join('; ');
}

function latencyObstacle(row: MeasuredRow, { maxP90Ms: limit }: Objective): string | undefined {
  if (limit === null || row.latencyMs === null || row.latencyMs.p90 <= limit) return undefined;
  return `p90 is over the limit (${msAgainst(row.latencyMs.p90, limit)})`;
}

function memoryObstacle(row: MeasuredRow, { maxRssBytes }: Objective): string | undefined {
  const peak = row.peakRssBytes;
  if (row.latencyMs === null || !isOver(peak ?? Infinity, maxRssBytes)) return undefined;
  return `peak memory is over the limit (${peakWords(peak, maxRssBytes)})`;
}

/**
 * Limits that the chosen row misses (exit code 3), from the command line or the package. Accuracy
 * limits are never among them: the file itself always meets them.
 */
export function missedObjectives({
  objective,
  candidates,
  chosen,
}: BenchReport): readonly string[] {
  const row = candidates.find(({ id }) => id === chosen);
  if (row === undefined) return [];
  const { maxP90Ms, maxRssBytes, gates = [] } = objective;
  const missed = (gate: string, flag: string, words: string) =>
    `${gates.includes(gate) ? `the gate ${gate} of the package` : flag} is not met: ${row.id} has ${words}`;
  const p90 = row.latencyMs?.p90 ?? 0;
  const peak = row.peakRssBytes;
  return [
    ...(isOver(p90, maxP90Ms)
      ? [missed('maxP90Ms', '--max-p90-ms', `p90 ${msAgainst(p90, maxP90Ms ?? 0)}`)]
      : []),
    ...(isOver(peak ?? Infinity, maxRssBytes)
      ? [missed('maxRssBytes', '--max-rss-mb', `peak memory ${peakWords(peak, maxRssBytes)}`)]
      : []),
  ];
}

function isOver(value: number, limit: number | null | undefined): boolean {
  return limit !== null && limit !== undefined && value > limit;
}

function peakWords(peak: number | null, limit: number | null | undefined): string {
  const found = peak === null ? 'that nobody knows' : bytesText(peak);
  return `${found} against ${bytesText(limit ?? 0)}`;
}
