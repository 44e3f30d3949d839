import type { DecisionRecord } from '../../../contracts/fit.ts';
import type { Policy } from '../../../contracts/job.ts';

/** What a fitted model must keep to. */
export interface Limits {
  /** Points of the task metric: 1 is 0.01. */
  readonly maxAccuracyDrop?: number | undefined;
  readonly minSqnrDb?: number | undefined;
  readonly maxP90Ms?: number | undefined;
  readonly maxRssBytes?: number | undefined;
}

const POINTS = 100;

/** The stricter of what the job and the package say, limit by limit. */
export function strictest(policy: Policy | undefined, gates: Limits): Limits {
  const drop = policy?.maxAccuracyDrop;
  return {
    maxAccuracyDrop: least(drop === undefined ? undefined : drop * POINTS, gates.maxAccuracyDrop),
    minSqnrDb: negated(least(negated(policy?.minSqnrDb), negated(gates.minSqnrDb))),
    maxP90Ms: least(policy?.maxP90Ms, gates.maxP90Ms),
    maxRssBytes: least(policy?.maxRssBytes, gates.maxRssBytes),
  };
}

function least(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}

function negated(value: number | undefined): number | undefined {
  return value === undefined ? undefined : -value;
}

/** Which limit the chosen version misses, in words; null when it keeps to all. */
export function missedGate(
  { bench, chosen }: DecisionRecord,
  limits: Limits,
  policy: Policy | undefined,
): string | null {
  const row = bench.candidates.find(({ id }) => id === chosen.id);
  if (row === undefined) return `${chosen.id} was not measured`;
  const drop = row.accuracy === null ? null : row.accuracy.drop * POINTS;
  const isFloat = row.fidelity?.sqnrDb === null;
  const checks = [
    above('accuracy drop in points', drop, limits.maxAccuracyDrop),
    // Identical to the float model: no noise at all.
    isFloat ? null : below('SQNR in dB', row.fidelity?.sqnrDb ?? null, limits.minSqnrDb),
    above('p90 in ms', row.latencyMs?.p90 ?? null, limits.maxP90Ms),
    above('memory in bytes', row.peakRssBytes, limits.maxRssBytes),
    above('heat in °C', row.heat?.afterCelsius ?? null, policy?.maxCelsius),
  ];
  const missed = checks.find((check) => check !== null);
  return missed === undefined || missed === null ? null : `${chosen.id}: ${missed}`;
}

/** What was not measured is not held against it: the measuring part has said why. */
function above(what: string, value: number | null, limit: number | undefined): string | null {
  if (limit === undefined || value === null || value <= limit) return null;
  return `${what} is ${rounded(value)}, above ${limit}`;
}

function below(what: string, value: number | null, limit: number | undefined): string | null {
  if (limit === undefined || value === null || value >= limit) return null;
  return `${what} is ${rounded(value)}, below ${limit}`;
}

function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
