import type { BenchReport, CandidateRow } from '../../../contracts/bench.ts';
import type { DecisionRow, DeviceDecision } from '../../../contracts/device-decision.ts';
import { formatDifference, formatNumber, formatShare, UNKNOWN } from '../ui/format.ts';

/** What the height of a point says: the task metric where samples are labelled, else SQNR. */
export interface Quality {
  readonly name: string;
  readonly unit: string;
}

/** One candidate, as the list and the chart show it. */
export interface Candidate {
  readonly id: string;
  readonly precision: string;
  readonly verdict: 'chosen' | 'rejected' | 'failed';
  readonly reason: string;
  readonly bytes: number | null;
  readonly p90Ms: number | null;
  /** In the unit of the quality. */
  readonly value: number | null;
  readonly valueText: string;
}

/** What was measured, and what was made of it. */
export interface Choice {
  readonly quality: Quality;
  readonly candidates: readonly Candidate[];
}

const SQNR: Quality = { name: 'SQNR', unit: 'dB' };

export function choiceOfReport({ candidates }: BenchReport): Choice {
  const metric = candidates.find((row) => row.accuracy !== null)?.accuracy?.metric;
  const isSqnr = metric === undefined;
  return {
    quality: isSqnr ? SQNR : { name: metric, unit: '%' },
    candidates: candidates.map((row) => ({
      id: row.id,
      precision: row.precision,
      verdict: row.verdict,
      reason: row.reason,
      bytes: row.bytes,
      p90Ms: row.latencyMs?.p90 ?? null,
      value: isSqnr ? (row.fidelity?.sqnrDb ?? null) : percentOf(row),
      valueText: valueText(row),
    })),
  };
}

function percentOf({ accuracy }: CandidateRow): number | null {
  return accuracy === null ? null : accuracy.value * 100;
}

function valueText({ accuracy, fidelity }: CandidateRow): string {
  if (accuracy !== null) return formatShare(accuracy.value, 2);
  if (fidelity === null) return UNKNOWN;
  return fidelity.sqnrDb === null ? 'exact' : `${formatNumber(fidelity.sqnrDb, 1)} dB`;
}

const AGAINST_FLOAT: Quality = { name: 'accuracy against float', unit: 'points' };

/** The shortened table that a device keeps of a decision: differences, no absolute accuracies. */
export function choiceOfDecision({ table }: Pick<DeviceDecision, 'table'>): Choice {
  const isSqnr = table.every((row) => row.accuracyDrop === null);
  return {
    quality: isSqnr ? SQNR : AGAINST_FLOAT,
    candidates: table.map((row) => {
      const value = isSqnr ? row.sqnrDb : pointsOfDrop(row);
      const isChosen = row.verdict === 'chosen';
      return {
        id: row.id,
        precision: precisionIn(row.id),
        verdict: isChosen ? 'chosen' : row.verdict === 'failed' ? 'failed' : 'rejected',
        reason: row.why,
        bytes: row.bytes ?? null,
        p90Ms: row.p90Ms,
        value,
        valueText: isSqnr ? sqnrText(row) : formatDifference(value, 2),
      };
    }),
  };
}

function pointsOfDrop({ accuracyDrop }: DecisionRow): number | null {
  return accuracyDrop === null ? null : -accuracyDrop * 100;
}

function sqnrText({ sqnrDb }: DecisionRow): string {
  return sqnrDb === null ? UNKNOWN : `${formatNumber(sqnrDb, 1)} dB`;
}

/** Of an id such as `onnxruntime/int8-static/t4`. */
function precisionIn(id: string): string {
  return id.split('/')[1]?.split('-')[0] ?? '';
}

export interface Point {
  readonly candidate: Candidate;
  readonly number: number;
  readonly p90Ms: number;
  readonly quality: number;
  /** Its quality has no number: as good as the float model itself (SQNR without end). */
  readonly exact: boolean;
}

/** Room above the best finite SQNR for what equals the float model. */
const EXACT_ABOVE_DB = 5;
const EXACT_ALONE_DB = 60;

/** Candidates that can stand in the chart, numbered as in the list. */
export function pointsOf({ candidates }: Choice): Point[] {
  const known = candidates.flatMap(({ value }) => value ?? []);
  const top = known.length === 0 ? EXACT_ALONE_DB : Math.max(...known) + EXACT_ABOVE_DB;
  return candidates.flatMap((candidate, index): Point[] => {
    const { p90Ms, value, precision } = candidate;
    if (p90Ms === null) return [];
    const exact = value === null && precision === 'fp32';
    if (value === null && !exact) return [];
    return [{ candidate, number: index + 1, p90Ms, quality: value ?? top, exact }];
  });
}
