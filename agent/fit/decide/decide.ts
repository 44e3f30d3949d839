import type { CandidateRow } from '../../contracts/bench.ts';
import type { ProfileGain } from '../../contracts/profile.ts';
import { CRITERIA, gainText, lossReason, rank, SAME, tieWords, type Ranking } from './criteria.ts';
import { gainObstacle } from './gains.ts';
import {
  accuracyObstacle,
  accuracyWords,
  fewSamplesWarning,
  implausibleTaskWarning,
  isReference,
  limitObstacle,
} from './objective.ts';
import { bytesText, moreText, msAgainst, threeDigits } from '../report/words.ts';
import type { Decision, MeasuredRow, Objective, Verdict } from '../types.ts';

/**
 * Chooses one row and says of every other why not. Pure: the same rows give the same decision.
 *
 * A smaller version that is slower here than the file as it is, or less accurate than allowed, is
 * never chosen. Limits on p90 and memory count where a row meets them; where none does, the best
 * is chosen.
 * @param gains how much faster some precisions must be here; they count where speed is the objective
 */
export function decide(
  rows: readonly MeasuredRow[],
  objective: Objective,
  gains: readonly ProfileGain[] = [],
): Decision {
  const warnings = [implausibleTaskWarning(rows), fewSamplesWarning(rows, objective)].filter(
    (warning) => warning !== undefined,
  );
  const demands = objective.optimize === 'latency' ? gains : [];
  const own = new Map(rows.map((row) => [row.id, obstaclesOf(row, rows, objective)]));
  // A row that cannot be chosen itself keeps no other from being chosen.
  const rivals = withinLimits(ableOf(rows, own), objective);
  const obstacles = new Map(
    rows.map((row) => {
      const clearly = gainObstacle(row, rivals, demands, medianOf);
      return [row.id, [...(own.get(row.id) ?? []), ...(clearly === undefined ? [] : [clearly])]];
    }),
  );
  const eligible = withinLimits(ableOf(rows, obstacles), objective);
  const [first, ...others] = eligible;
  if (first === undefined) {
    return { chosen: null, verdicts: rows.map((row) => hopeless(row, obstacles)), warnings };
  }
  const ranking = rank([first, ...others], CRITERIA[objective.optimize]);
  const praise = choiceReason(rows, eligible, objective, ranking);
  const verdicts = rows.map((row) =>
    row.id === ranking.best.id
      ? ({ id: row.id, verdict: 'chosen', reason: praise } as const)
      : lostVerdict(row, objective, ranking, obstacles),
  );
  return { chosen: ranking.best.id, verdicts, warnings };
}

/** The rows of the report: every row with its verdict. */
export function applyDecision(
  rows: readonly MeasuredRow[],
  decision: Decision,
): readonly CandidateRow[] {
  const verdicts = new Map(decision.verdicts.map((one) => [one.id, one]));
  return rows.map(({ error, ...row }) => ({
    ...row,
    verdict: verdicts.get(row.id)?.verdict ?? 'failed',
    reason: verdicts.get(row.id)?.reason ?? error ?? '',
  }));
}

const medianOf = (row: MeasuredRow): number => row.latencyMs?.p50 ?? Infinity;

function failed(row: MeasuredRow): boolean {
  return row.error !== undefined || row.latencyMs === null || !Number.isFinite(row.latencyMs.p50);
}

type Obstacles = ReadonlyMap<string, readonly string[]>;

/** Rows that nothing speaks against. */
function ableOf(rows: readonly MeasuredRow[], obstacles: Obstacles): readonly MeasuredRow[] {
  return rows.filter((row) => !failed(row) && obstacles.get(row.id)?.length === 0);
}

/** Those that keep the limits on time and memory; where none does, all. */
function withinLimits(rows: readonly MeasuredRow[], objective: Objective): readonly MeasuredRow[] {
  const kept = rows.filter((row) => limitObstacle(row, objective) === undefined);
  return kept.length === 0 ? rows : kept;
}

/** What forbids choosing a row whatever the others are; several may hold. */
function obstaclesOf(
  row: MeasuredRow,
  rows: readonly MeasuredRow[],
  objective: Objective,
): readonly string[] {
  const found = [accuracyObstacle(row, objective), slownessObstacle(row, rows, objective)];
  return found.filter((reason) => reason !== undefined);
}

/** Size and memory forgive what measurements cannot tell apart; speed itself does not. */
function slownessObstacle(
  row: MeasuredRow,
  rows: readonly MeasuredRow[],
  objective: Objective,
): string | undefined {
  const reference = fastestReference(rows);
  const own = row.latencyMs?.p50;
  const best = reference?.latencyMs?.p50;
  if (isReference(row) || own === undefined || best === undefined) return undefined;
  const slack = objective.optimize === 'latency' ? 0 : SAME;
  if (own <= best * (1 + slack)) return undefined;
  const name = reference?.precision === 'fp32' ? 'float' : 'the file as it is';
  return `${moreText(own, best, 'slower')} than ${name} here (${msAgainst(own, best)})`;
}

function fastestReference(rows: readonly MeasuredRow[]): MeasuredRow | undefined {
  return rows
    .filter((row) => isReference(row) && !failed(row))
    .toSorted((a, b) => (a.latencyMs?.p50 ?? 0) - (b.latencyMs?.p50 ?? 0))[0];
}

function hopeless(row: MeasuredRow, obstacles: Obstacles): Verdict {
  if (failed(row)) return failure(row);
  return { id: row.id, verdict: 'rejected', reason: (obstacles.get(row.id) ?? []).join('; ') };
}

function failure(row: MeasuredRow): Verdict {
  return { id: row.id, verdict: 'failed', reason: row.error ?? 'it could not be measured' };
}

function lostVerdict(
  row: MeasuredRow,
  objective: Objective,
  ranking: Ranking,
  obstacles: Obstacles,
): Verdict {
  const { id } = row;
  if (failed(row)) return failure(row);
  const against = obstacles.get(id) ?? [];
  if (against.length > 0) return { id, verdict: 'rejected', reason: against.join('; ') };
  const late = limitObstacle(row, objective);
  if (late !== undefined && limitObstacle(ranking.best, objective) === undefined) {
    return { id, verdict: 'rejected', reason: late };
  }
  const reason = lossReason(row, ranking, CRITERIA[objective.optimize]);
  return { id, verdict: 'rejected', reason };
}

const SUPERLATIVE = { latency: 'fastest', size: 'smallest', memory: 'least memory' } as const;

function choiceReason(
  rows: readonly MeasuredRow[],
  eligible: readonly MeasuredRow[],
  objective: Objective,
  ranking: Ranking,
): string {
  const { best } = ranking;
  const criteria = CRITERIA[objective.optimize];
  const reference = fastestReference(rows);
  const compared = !isReference(best) && reference !== undefined ? gainText(best, reference) : '';
  const othersOut = eligible.every(isReference) && !rows.every(isReference);
  const tie = tieWords(eligible, ranking, criteria);
  const parts = [
    tie === ''
      ? `${SUPERLATIVE[objective.optimize]}: ${figures(best, objective)}`
      : `${figures(best, objective)}, ${tie}`,
    compared,
    accuracyWords(best, objective),
    othersOut ? 'no smaller version is both as fast and accurate enough' : '',
    limitObstacle(best, objective) ?? '',
  ];
  return parts.filter((part) => part !== '').join('; ');
}

/** What was asked for first; the latency is of interest in any case. */
function figures({ bytes, peakRssBytes, latencyMs }: MeasuredRow, { optimize }: Objective): string {
  const asked = {
    latency: [],
    size: bytes === null ? [] : [bytesText(bytes)],
    memory: peakRssBytes === null ? [] : [`peak ${bytesText(peakRssBytes)}`],
  } as const;
  return [...asked[optimize], `${threeDigits(latencyMs?.p50 ?? 0)} ms`].join(', ');
}
