import type { BenchReport, CandidateRow } from '../../contracts/bench.ts';
import type { Compare, Compared } from '../../contracts/dashboard.ts';
import type { BenchArrival } from './ports.ts';

type Side = Compared;

function sideOf(row: CandidateRow): Side {
  return {
    p50Ms: row.latencyMs?.p50 ?? null,
    p90Ms: row.latencyMs?.p90 ?? null,
    p99Ms: row.latencyMs?.p99 ?? null,
    throughputPerSecond: row.throughputPerSecond,
    bytes: row.bytes,
    peakRssBytes: row.peakRssBytes,
    integerCoverage: row.integerCoverage,
    sqnrDb: row.fidelity?.sqnrDb ?? null,
    accuracy: row.accuracy?.value ?? null,
    verdict: row.verdict,
  };
}

/** Two reports side by side, candidate by candidate. */
export function compareBenches(left: BenchArrival, right: BenchArrival): Compare {
  const sides = [left, right].map(
    ({ report }) => new Map(report.candidates.map((row) => [row.id, sideOf(row)])),
  );
  const [lefts = new Map<string, Side>(), rights = new Map<string, Side>()] = sides;
  const ids = new Set([...lefts.keys(), ...rights.keys()]);
  return {
    left: { ...left.line, report: left.report },
    right: { ...right.line, report: right.report },
    rows: [...ids].map((candidate) => ({
      candidate,
      left: lefts.get(candidate) ?? null,
      right: rights.get(candidate) ?? null,
    })),
  };
}

const COLUMNS = [
  'p50Ms',
  'p90Ms',
  'p99Ms',
  'throughputPerSecond',
  'bytes',
  'peakRssBytes',
  'integerCoverage',
  'sqnrDb',
  'accuracy',
  'verdict',
] as const;

/** One report as CSV: a line for each candidate. */
export function benchCsv({ line, report }: BenchArrival): string {
  const head = ['device', 'bench', 'model', 'candidate', 'precision', ...COLUMNS, 'reason'];
  const rows = report.candidates.map((row) => {
    const side = sideOf(row);
    const cells = COLUMNS.map((column) => side[column]);
    const first = [line.deviceId, line.benchId, report.model.name, row.id, row.precision];
    return [...first, ...cells, row.reason];
  });
  return csvOf([head, ...rows]);
}

/** A comparison as CSV: for each figure the left one, the right one and their ratio. */
export function compareCsv({ left, right, rows }: Compare): string {
  const head = ['candidate', 'figure', `left ${nameOf(left)}`, `right ${nameOf(right)}`, 'ratio'];
  const lines = rows.flatMap(({ candidate, left: one, right: other }) =>
    COLUMNS.map((column) => {
      const [a, b] = [one?.[column] ?? null, other?.[column] ?? null];
      return [candidate, column, a, b, ratioOf(a, b)];
    }),
  );
  return csvOf([head, ...lines]);
}

const nameOf = (side: {
  readonly deviceId: string;
  readonly benchId: string;
  report: BenchReport;
}) => `${side.deviceId}/${side.benchId}`;

function ratioOf(left: string | number | null, right: string | number | null): number | null {
  if (typeof left !== 'number' || typeof right !== 'number' || left === 0) return null;
  return right / left;
}

type Cell = string | number | null;

/**
 * CSV (RFC 4180). A text that a spreadsheet would take for a formula gets an apostrophe before it
 * (OWASP, "CSV Injection"): names and reasons come from devices.
 */
export function csvOf(rows: readonly (readonly Cell[])[]): string {
  return rows.map((row) => `${row.map(cellOf).join(',')}\r\n`).join('');
}

function cellOf(cell: Cell): string {
  if (cell === null) return '';
  if (typeof cell === 'number') return String(cell);
  const text = /^[=+\-@\t\r\n]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
