import type { DeviceRow } from '../../fleet/roster/row.ts';
import { plain, styled, type Style } from '../text.ts';
import { wait } from './wait-text.ts';

/** The table of a fleet: pure functions. */

export interface TableOptions {
  readonly width: number;
  readonly color: boolean;
  readonly nowMs: number;
}

interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
  /** At 80 columns. */
  readonly width: number;
  /** May become wider where there is room. */
  readonly grows?: true;
  readonly cell: (row: DeviceRow, nowMs: number) => string;
}

const NONE = '-';

const COLUMNS: readonly Column[] = [
  { title: 'device', align: 'left', width: 14, grows: true, cell: ({ deviceId }) => deviceId },
  { title: 'state', align: 'left', width: 8, cell: stateCell },
  { title: 'class', align: 'left', width: 11, grows: true, cell: (row) => row.class || NONE },
  { title: 'model', align: 'left', width: 12, grows: true, cell: modelCell },
  { title: 'prec', align: 'left', width: 4, cell: ({ model }) => model?.precision ?? NONE },
  { title: 'p90 ms', align: 'right', width: 6, cell: ({ p90Ms }) => number(p90Ms) },
  { title: '°C', align: 'right', width: 3, cell: ({ celsius }) => number(celsius, 0) },
  { title: 'seen', align: 'right', width: 4, cell: ({ lastSeenMs }, now) => wait(lastSeenMs, now) },
  { title: 'job', align: 'left', width: 9, grows: true, cell: jobCell },
];

function stateCell({ state, cloned }: DeviceRow): string {
  return cloned ? 'cloned' : state;
}

function modelCell({ model }: DeviceRow): string {
  return model === null ? NONE : `${model.name} ${model.version}`;
}

function number(value: number | null, digits = 3): string {
  if (value === null) return NONE;
  if (digits === 0) return value.toFixed(0);
  return value >= 1000 ? value.toFixed(0) : value.toPrecision(digits);
}

/** An open job by its phase, a finished one by how it ended. */
function jobCell({ job }: DeviceRow): string {
  if (job === null) return NONE;
  if (job.status === 'IN_PROGRESS' || job.status === 'QUEUED') return job.phase;
  return job.status.toLowerCase().replaceAll('_', ' ');
}

const STYLES: Readonly<Record<string, Style>> = {
  online: 'green',
  silent: 'red',
  cloned: 'red',
  offline: 'dim',
};

/** A header and a line for each row; never wider than asked, at 80 columns and more. */
export function fleetTable(rows: readonly DeviceRow[], options: TableOptions): readonly string[] {
  const cells = rows.map((row) => COLUMNS.map(({ cell }) => plain(cell(row, options.nowMs))));
  const widths = widthsFor(cells, options.width);
  const line = (texts: readonly string[]) =>
    COLUMNS.map(({ align }, at) => fit(texts[at] ?? '', widths[at] ?? 0, align)).join(' ');
  const head = styled(line(COLUMNS.map(({ title }) => title)).trimEnd(), 'bold', options.color);
  return [
    head,
    ...cells.map((texts) => {
      const style = STYLES[texts[1] ?? ''];
      const text = line(texts).trimEnd();
      return style === undefined ? text : styled(text, style, options.color);
    }),
  ];
}

/** What is left over goes to the columns that need it, in their order. */
function widthsFor(cells: readonly (readonly string[])[], width: number): readonly number[] {
  const widths = COLUMNS.map((column) => column.width);
  let left = width - widths.reduce((sum, one) => sum + one, 0) - (COLUMNS.length - 1);
  for (const [at, { grows }] of COLUMNS.entries()) {
    if (grows !== true || left <= 0) continue;
    const needed = cells.reduce((most, texts) => Math.max(most, texts[at]?.length ?? 0), 0);
    const more = Math.min(left, Math.max(0, needed - (widths[at] ?? 0)));
    widths[at] = (widths[at] ?? 0) + more;
    left -= more;
  }
  return widths;
}

function fit(text: string, width: number, align: Column['align']): string {
  const cut = text.length > width ? `${text.slice(0, width - 1)}~` : text;
  return align === 'right' ? cut.padStart(width) : cut.padEnd(width);
}

/** `12 devices: 10 online, 2 offline`. */
export function fleetSummary(rows: readonly DeviceRow[]): string {
  const counts = new Map<string, number>();
  for (const row of rows) {
    const state = stateCell(row);
    counts.set(state, (counts.get(state) ?? 0) + 1);
  }
  const parts = [...counts].map(([state, count]) => `${count} ${state}`);
  const what = rows.length === 1 ? 'device' : 'devices';
  return rows.length === 0 ? 'no devices' : `${rows.length} ${what}: ${parts.join(', ')}`;
}

export const SORT_KEYS = ['device', 'state', 'class', 'model', 'p90', 'temp', 'seen'] as const;
export type SortKey = (typeof SORT_KEYS)[number];

const VALUES: Readonly<Record<SortKey, (row: DeviceRow) => string | number | null>> = {
  device: ({ deviceId }) => deviceId,
  state: stateCell,
  class: (row) => row.class,
  model: (row) => (row.model === null ? null : modelCell(row)),
  p90: ({ p90Ms }) => p90Ms,
  temp: ({ celsius }) => celsius,
  seen: ({ lastSeenMs }) => lastSeenMs,
};

const NATURAL = new Intl.Collator('en', { numeric: true });

/** Sorted by one key, then by name; what has no value comes last whichever way. */
export function sortRows(
  rows: Iterable<DeviceRow>,
  key: SortKey,
  isDescending: boolean,
): readonly DeviceRow[] {
  const valueOf = VALUES[key];
  const compare = (a: DeviceRow, b: DeviceRow): number => {
    const [x, y] = [valueOf(a), valueOf(b)];
    if (x === null || y === null) return Number(x === null) - Number(y === null);
    const order =
      typeof x === 'number' && typeof y === 'number'
        ? x - y
        : NATURAL.compare(String(x), String(y));
    return isDescending ? -order : order;
  };
  return [...rows].toSorted((a, b) => compare(a, b) || NATURAL.compare(a.deviceId, b.deviceId));
}
