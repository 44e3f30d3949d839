import type { BenchReport, CandidateRow } from '../../contracts/bench.ts';
import { threeDigits } from './words.ts';

/** One column of the candidate table; `unit` is the second line of its header. */
export interface Column {
  readonly title: string;
  readonly unit: string;
  readonly align: 'left' | 'right';
  cell(row: CandidateRow, number: number): string;
}

const NONE = '-';
const MAX_LABEL = 16;

const figure = (value: number | null | undefined, scale = 1): string =>
  value === null || value === undefined ? NONE : threeDigits(value * scale);

const degrees = (value: number | null | undefined): string =>
  value === null || value === undefined ? NONE : value.toFixed(1);

const megahertz = (value: number | null | undefined): string =>
  value === null || value === undefined ? NONE : (value / 1e6).toFixed(0);

const percent = (value: number | null | undefined, digits = 1): string =>
  value === null || value === undefined ? NONE : (value * 100).toFixed(digits);

function right(title: string, unit: string, cell: (row: CandidateRow) => string): Column {
  return { title, unit, align: 'right', cell };
}

/** The middle of an id: precision, method and what tells schemes apart. */
export function labelOf(row: Pick<CandidateRow, 'id' | 'precision'>): string {
  return (row.id.split('/')[1] ?? row.precision).slice(0, MAX_LABEL);
}

function sqnr(row: CandidateRow): string {
  if (row.fidelity === null) return NONE;
  return row.fidelity.sqnrDb === null ? 'same' : row.fidelity.sqnrDb.toFixed(1);
}

const number: Column = { title: '#', unit: '', align: 'right', cell: (_row, n) => String(n) };
const precision: Column = { title: 'precision', unit: '', align: 'left', cell: labelOf };
const runtime: Column = { title: 'runtime', unit: '', align: 'left', cell: (row) => row.runtime };
const verdict: Column = { title: 'verdict', unit: '', align: 'left', cell: (row) => row.verdict };

const threads = right('thr', '', (row) => String(row.threads));
const speed: readonly Column[] = [
  right('p50', 'ms', (row) => figure(row.latencyMs?.p50)),
  right('p90', 'ms', (row) => figure(row.latencyMs?.p90)),
  right('p99', 'ms', (row) => figure(row.latencyMs?.p99)),
  right('rate', '1/s', (row) => figure(row.throughputPerSecond)),
  right('load', 'ms', (row) => figure(row.loadMs)),
];
const weight: readonly Column[] = [
  right('size', 'MB', (row) => figure(row.bytes, 1e-6)),
  right('peak', 'MB', (row) => figure(row.peakRssBytes, 1e-6)),
];
const fidelity: readonly Column[] = [
  right('int.', '%', (row) => percent(row.integerCoverage, 0)),
  right('SQNR', 'dB', sqnr),
  right('top-1', 'same %', (row) => percent(row.fidelity?.top1Agreement)),
  right('task', '%', (row) => percent(row.accuracy?.value)),
  right('drop', 'pts', (row) => percent(row.accuracy?.drop, 2)),
];

const hottest = right('heat', 'max C', (row) => degrees(row.heat?.maxCelsius));
const energy = right('energy', 'mJ', (row) => figure(row.energyPerInferenceMillijoules));
const slowed: Column = { title: 'throttled', unit: '', align: 'left', cell: throttledCell };
const heat: readonly Column[] = [
  hottest,
  right('CPU', 'MHz', (row) => megahertz(row.clocks?.cpuMeanHz)),
  right('power', 'W', (row) => figure(row.power?.meanMilliwatts, 1e-3)),
  energy,
];

/** Whether the figures hold turns that were slowed down, or such turns were taken again. */
function throttledCell({ throttled }: CandidateRow): string {
  if (throttled === undefined) return '';
  return throttled.turns > 0 ? 'yes' : 'repeated';
}

/** Which of the optional columns hold anything for these rows. */
function known(columns: readonly Column[], report: BenchReport): readonly Column[] {
  const empty = [NONE, ''];
  return columns.filter((column) =>
    report.candidates.some((row, at) => !empty.includes(column.cell(row, at + 1))),
  );
}

/** Everything in one table; heat and energy where something is known of them. */
export function allColumns(report: BenchReport): readonly Column[] {
  return [
    number,
    precision,
    runtime,
    threads,
    ...weight,
    ...speed,
    ...known([hottest, energy, slowed], report),
    ...fidelity,
    verdict,
  ];
}

/** Heat and power in a table of their own for narrow screens; none where nothing is known. */
export function heatColumns(report: BenchReport): readonly Column[] {
  const columns = known([...heat, slowed], report);
  return columns.length === 0 ? [] : [number, precision, runtime, threads, ...columns];
}

/** The rest in two tables for narrow screens; all share the row number. */
export const speedColumns: readonly Column[] = [number, precision, runtime, threads, ...speed];
export const fidelityColumns: readonly Column[] = [
  number,
  precision,
  ...weight,
  ...fidelity,
  verdict,
];

/** What the abbreviations of the header mean. */
export function legend(report: BenchReport): string {
  const metric = report.candidates.find((row) => row.accuracy !== null)?.accuracy?.metric;
  const task =
    metric === undefined ? '' : ` task: ${metric} on labelled samples; drop: against float.`;
  const energyIs = report.candidates.some((row) => row.energyPerInferenceMillijoules !== undefined)
    ? ' energy: of one inference, what the machine draws idle included.'
    : '';
  return `peak: memory of the runtime's process. int.: multiply-accumulates in integer kernels. SQNR, top-1: against the float model.${task}${energyIs}`;
}
