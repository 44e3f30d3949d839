import type { ProfileGain } from '../../contracts/profile.ts';
import { gainObstacle } from './gains.ts';
import { accuracyObstacle, isReference } from './objective.ts';
import { bytesText, moreText, msAgainst, threeDigits } from '../report/words.ts';
import type { Decision, MeasuredRow, Objective, Verdict } from '../types.ts';

/** Gains under this are noise, and no reason to leave float. */
export const LEAST_GAIN = 0.03;
/** Medians this close to the fastest are as good: then accuracy decides. */
export const AS_FAST = 0.05;
/** Accuracy on labelled data is worth a little more speed than closeness to the float model. */
export const AS_FAST_FOR_TASK = 0.25;
/** The share of the time saved that must be left then. */
const MOST_OF_THE_GAIN = 0.75;
/** Points of the task metric that nobody misses. */
export const NO_LOSS = 0.5;
/** Medians of a fixed computation this far above its shortest time were taken on a busy machine. */
const DISTURBED = 1.25;
/** A file so much smaller, at this fidelity, is worth having at float's speed. */
const MUCH_SMALLER = 0.6;
const HIGH_FIDELITY_DB = 35;
/** What calling a model may take more or less of by itself, and at most this share of it. */
const CALL_MS = 0.003;
const CALL_SHARE = 0.15;

/** Differences below say nothing about the models. */
export function callMs(floatMs: number): number {
  return Math.min(CALL_MS, floatMs * CALL_SHARE);
}

/**
 * What an engineer would take, as a pure function of the measured rows. In this order:
 * 1. Out is what failed, misses the objective, or is slower than the fastest float version.
 * 2. Of the rest, the fastest counts, if it gains at least 3 % on float; where there is none, a file
 *    at most 0.6 times as large with at least 35 dB, if any; else float.
 * 3. Rows up to 25 % slower than it that save most of the time, too, and lose at most half a point
 *    replace it where it loses more; rows up to 5 % slower replace it where they are closer to the float model.
 * @param skipped ids of rows whose accuracy was not looked at, because faster ones are good enough
 */
export function decideAuto(
  measured: readonly MeasuredRow[],
  objective: Objective,
  skipped: ReadonlySet<string> = new Set(),
  /** How much faster some precisions must be on this machine. */
  gains: readonly ProfileGain[] = [],
): Decision {
  const rows = timed(measured);
  const float = floatChoice(rows.filter((row) => isReference(row) && time(row) < Infinity));
  const against = (row: TimedRow) => obstacle(row, float, skipped.has(row.id) ? null : objective);
  const rivals = rows.filter((row) => against(row) === undefined && !skipped.has(row.id));
  const reasons = new Map(
    rows.map((row) => [row.id, against(row) ?? gainObstacle(row, rivals, gains, time)]),
  );
  const able = rows.filter(
    (row) => !isReference(row) && reasons.get(row.id) === undefined && !skipped.has(row.id),
  );
  const quick = able.filter((row) => time(row) <= time(float) * (1 - LEAST_GAIN));
  const small = able.filter((row) => isMuchSmaller(row, float));
  const chosen = best(quick, time(float)) ?? best(small, time(float)) ?? float;
  if (chosen === undefined) {
    const verdicts = rows.map((row) => rejected(row, reasons.get(row.id) ?? 'it was not measured'));
    return { chosen: null, verdicts, warnings: [] };
  }
  const verdicts = rows.map((row): Verdict => {
    if (row.id === chosen.id) {
      return { id: row.id, verdict: 'chosen', reason: praise(row, float, able) };
    }
    return rejected(row, reasons.get(row.id) ?? lossAgainst(row, chosen, float));
  });
  return { chosen: chosen.id, verdicts, warnings: [] };
}

/** A row with the time that it is compared by, in ms. */
export type TimedRow = MeasuredRow & { readonly ms: number };

/**
 * Medians; or, where those of the float model show that others used the machine meanwhile, the shortest
 * times, which are disturbed least.
 */
export function timed(rows: readonly MeasuredRow[]): readonly TimedRow[] {
  const disturbed = rows.some(
    ({ latencyMs, method }) =>
      method === 'none' && latencyMs !== null && latencyMs.p50 > latencyMs.min * DISTURBED,
  );
  return rows.map((row) => {
    const ms = disturbed ? row.latencyMs?.min : row.latencyMs?.p50;
    return { ...row, ms: ms !== undefined && Number.isFinite(ms) ? ms : Infinity };
  });
}

const time = (row: TimedRow | undefined): number => row?.ms ?? Infinity;
/** Identical outputs are the best there is. */
const sqnr = ({ fidelity }: MeasuredRow): number =>
  fidelity === null ? -Infinity : (fidelity.sqnrDb ?? Infinity);
export const lostPoints = ({ accuracy }: MeasuredRow): number => (accuracy?.drop ?? 0) * 100;

/** The last reference (the folded file) unless an earlier one is clearly faster. */
function floatChoice(rows: readonly TimedRow[]): TimedRow | undefined {
  const first = fastest(rows);
  return rows.findLast((row) => time(row) <= time(first) * (1 + LEAST_GAIN));
}

function fastest(rows: readonly TimedRow[]): TimedRow | undefined {
  return rows.toSorted((a, b) => time(a) - time(b))[0];
}

function best(rows: readonly TimedRow[], floatMs: number): TimedRow | undefined {
  const first = fastest(rows);
  if (first === undefined) return undefined;
  const harmless = rows.filter((row) => lostPoints(row) <= NO_LOSS);
  const quickest = fastest(harmless);
  const longest = Math.min(
    time(first) * (1 + AS_FAST_FOR_TASK),
    Number.isFinite(floatMs)
      ? Math.max(time(first), floatMs - (floatMs - time(first)) * MOST_OF_THE_GAIN)
      : Infinity,
  );
  const worth = quickest !== undefined && time(quickest) <= longest;
  const pool = worth ? harmless : rows;
  const limit = time(worth ? quickest : first) * (1 + AS_FAST);
  const close = pool.filter((row) => time(row) <= limit);
  return close.toSorted((a, b) => sqnr(b) - sqnr(a) || time(a) - time(b))[0];
}

function isMuchSmaller(row: TimedRow, float: TimedRow | undefined): boolean {
  const smaller = (row.bytes ?? Infinity) <= MUCH_SMALLER * (float?.bytes ?? 0);
  return smaller && sqnr(row) >= HIGH_FIDELITY_DB && lostPoints(row) <= NO_LOSS;
}

function obstacle(
  row: TimedRow,
  float: TimedRow | undefined,
  /** Null for a row whose accuracy was not looked at. */
  objective: Objective | null,
): string | undefined {
  if (row.error !== undefined) return row.error;
  if (time(row) === Infinity) return 'it could not be measured';
  if (isReference(row)) return undefined;
  if (time(row) > time(float) + callMs(time(float))) {
    return `${moreText(time(row), time(float), 'slower')} than float here (${msAgainst(time(row), time(float))})`;
  }
  return objective === null ? undefined : accuracyObstacle(row, objective);
}

function rejected(row: TimedRow, reason: string): Verdict {
  const failed = row.error !== undefined || row.latencyMs === null;
  return { id: row.id, verdict: failed ? 'failed' : 'rejected', reason };
}

function lossAgainst(row: TimedRow, chosen: TimedRow, float: TimedRow | undefined): string {
  const [own, other] = [time(row), time(chosen)];
  const times = msAgainst(own, other);
  if (isReference(chosen) && !isReference(row)) {
    if (own >= time(float))
      return `no faster than float (${times}), and not much smaller and close`;
    const gain = moreText(time(float), own, 'faster');
    return `${gain} than float (${times}): under ${LEAST_GAIN * 100}% is noise`;
  }
  if (own > other * (1 + AS_FAST))
    return `${moreText(own, other, 'slower')} than the choice (${times})`;
  if (isReference(row)) {
    const sizes = `${bytesText(row.bytes ?? 0)} against ${bytesText(chosen.bytes ?? 0)}`;
    return own > other
      ? `${moreText(own, other, 'slower')} than the choice (${times})`
      : `as fast as the choice and larger (${sizes})`;
  }
  if (lostPoints(row) > NO_LOSS && lostPoints(chosen) <= NO_LOSS) {
    return `about as fast as the choice (${times}) but loses ${lostPoints(row).toFixed(1)} points`;
  }
  return `about as fast as the choice (${times}) but further from float (${dB(row)} against ${dB(chosen)})`;
}

const dB = (row: TimedRow) =>
  Number.isFinite(sqnr(row)) ? `${sqnr(row).toFixed(1)} dB` : 'not judged';

function praise(row: TimedRow, float: TimedRow | undefined, able: readonly TimedRow[]): string {
  const own = `${threeDigits(time(row))} ms`;
  if (isReference(row)) {
    const others =
      able.length === 0 ? 'no smaller version is both as fast and accurate enough' : '';
    return [`float: ${own}`, others].filter((part) => part !== '').join('; ');
  }
  const gain =
    time(row) < time(float)
      ? `${moreText(time(float), time(row), 'faster')} than float (${msAgainst(time(row), time(float))})`
      : `as fast as float (${msAgainst(time(row), time(float))}) and ${moreText(float?.bytes ?? 0, row.bytes ?? 1, 'smaller')}`;
  const points = row.accuracy === null ? '' : `, ${lostPoints(row).toFixed(1)} points lost`;
  return `${own}; ${gain}; SQNR ${dB(row)}${points}`;
}
