import type { BenchReport, CandidateRow } from '../../../contracts/bench.ts';

/** What the height of a point says: the task metric where samples are labelled, else SQNR. */
export interface Quality {
  readonly name: string;
  readonly unit: string;
  readonly of: (row: CandidateRow) => number | null;
}

const SQNR: Quality = {
  name: 'SQNR',
  unit: 'dB',
  of: (row) => row.fidelity?.sqnrDb ?? null,
};

export function qualityOf(report: BenchReport): Quality {
  const metric = report.candidates.find((row) => row.accuracy !== null)?.accuracy?.metric;
  if (metric === undefined) return SQNR;
  return {
    name: metric,
    unit: '%',
    of: (row) => (row.accuracy === null ? null : row.accuracy.value * 100),
  };
}

export interface Point {
  readonly row: CandidateRow;
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
export function pointsOf(report: BenchReport, quality: Quality): Point[] {
  const known = report.candidates.flatMap((row) => quality.of(row) ?? []);
  const top = known.length === 0 ? EXACT_ALONE_DB : Math.max(...known) + EXACT_ABOVE_DB;
  return report.candidates.flatMap((row, index): Point[] => {
    if (row.latencyMs === null) return [];
    const value = quality.of(row);
    const exact = value === null && row.precision === 'fp32';
    if (value === null && !exact) return [];
    const point = { row, number: index + 1, p90Ms: row.latencyMs.p90 };
    return [{ ...point, quality: value ?? top, exact }];
  });
}
