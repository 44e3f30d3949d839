import type { DeviceRow } from '../../../contracts/dashboard.ts';
import { groupBy } from '../state/group.ts';
import { isAway } from '../state/presence.ts';
import { UNKNOWN_CLASS } from './order.ts';

export interface Summary {
  readonly devices: number;
  readonly states: Readonly<Record<DeviceRow['state'], number>>;
  readonly withModel: number;
  readonly throttled: number;
  readonly busy: number;
  readonly failed: number;
  readonly medianP90Ms: number | null;
  readonly maxCelsius: number | null;
}

export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = Float64Array.from(values).toSorted();
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}

const OPEN = new Set(['QUEUED', 'IN_PROGRESS']);
const BAD = new Set(['FAILED', 'REJECTED', 'TIMED_OUT', 'EXPIRED']);

export function summarize(rows: readonly DeviceRow[]): Summary {
  const states = { online: 0, offline: 0, draining: 0, silent: 0 };
  for (const row of rows) states[row.state] += 1;
  const count = (test: (row: DeviceRow) => boolean) => rows.filter(test).length;
  const p90s = rows.flatMap((row) => (row.p90Ms === null ? [] : [row.p90Ms]));
  const celsius = rows.flatMap((row) => (row.celsius === null || isAway(row) ? [] : [row.celsius]));
  return {
    devices: rows.length,
    states,
    withModel: count((row) => row.model !== null),
    throttled: count((row) => row.throttled === true && !isAway(row)),
    busy: count((row) => OPEN.has(row.job?.status ?? '')),
    failed: count((row) => BAD.has(row.job?.status ?? '')),
    medianP90Ms: median(p90s),
    maxCelsius: celsius.reduce<number | null>(
      (most, value) => Math.max(most ?? value, value),
      null,
    ),
  };
}

export const NO_MODEL = 'none';
const PRECISION_ORDER = ['int8', 'fp16', 'fp32'];

export interface MapRow {
  readonly class: string;
  readonly devices: number;
  /** Devices of each precision, in the order of `PrecisionMap.precisions`. */
  readonly counts: readonly number[];
  readonly medianP90Ms: readonly (number | null)[];
}

/** How many devices of each hardware class run each precision. */
export interface PrecisionMap {
  readonly precisions: readonly string[];
  readonly rows: readonly MapRow[];
}

const precisionOf = (row: DeviceRow) => row.model?.precision ?? NO_MODEL;

function rankOf(precision: string): number {
  if (precision === NO_MODEL) return PRECISION_ORDER.length + 1;
  const at = PRECISION_ORDER.indexOf(precision);
  return at === -1 ? PRECISION_ORDER.length : at;
}

export function mapPrecisions(rows: readonly DeviceRow[]): PrecisionMap {
  const found = new Set(rows.map(precisionOf));
  const precisions = [...new Set([...PRECISION_ORDER, ...found])].toSorted(
    (a, b) => rankOf(a) - rankOf(b),
  );
  const classes = groupBy(rows, (row) => row.class ?? UNKNOWN_CLASS);
  const lines = [...classes.entries()].map(([name, members]): MapRow => {
    const groups = groupBy(members, precisionOf);
    const each = precisions.map((precision) => groups.get(precision) ?? []);
    return {
      class: name,
      devices: members.length,
      counts: each.map((group) => group.length),
      medianP90Ms: each.map((group) =>
        median(group.flatMap((row) => (row.model === null ? [] : (row.p90Ms ?? [])))),
      ),
    };
  });
  return { precisions, rows: lines.toSorted((a, b) => b.devices - a.devices) };
}
