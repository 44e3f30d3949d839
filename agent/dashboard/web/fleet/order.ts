import type { DeviceRow } from '../../../contracts/dashboard.ts';
import { groupBy } from '../state/group.ts';

export const sortKeys = [
  'state',
  'device',
  'class',
  'model',
  'precision',
  'p90',
  'accuracy',
  'temp',
  'seen',
] as const;
export type SortKey = (typeof sortKeys)[number];

export interface Order {
  readonly key: SortKey;
  readonly descending: boolean;
}

/** What needs a look comes first. */
const STATE_RANK: Readonly<Record<DeviceRow['state'], number>> = {
  silent: 0,
  offline: 1,
  draining: 2,
  online: 3,
};

type Value = string | number | null;

const VALUES: Readonly<Record<SortKey, (row: DeviceRow) => Value>> = {
  state: (row) => STATE_RANK[row.state],
  device: () => null,
  class: (row) => row.class,
  model: (row) => (row.model === null ? null : `${row.model.name} ${row.model.version}`),
  precision: (row) => row.model?.precision ?? null,
  p90: (row) => row.p90Ms,
  accuracy: (row) => row.accuracy?.value ?? null,
  temp: (row) => row.celsius,
  seen: (row) => row.lastSeenMs,
};

const collator = new Intl.Collator('en', { numeric: true });
let ranked: { ids: number; rank: Map<string, number> } = { ids: 0, rank: new Map() };

/**
 * The place of every id in natural order (`pi-2` before `pi-10`). Comparing so is slow, and ids come
 * and go seldom: it is done again only when one has.
 */
function rankIds(rows: readonly DeviceRow[]): ReadonlyMap<string, number> {
  if (ranked.ids === rows.length && rows.every((row) => ranked.rank.has(row.deviceId))) {
    return ranked.rank;
  }
  const ids = rows.map((row) => row.deviceId).toSorted(collator.compare);
  ranked = { ids: rows.length, rank: new Map(ids.map((id, index) => [id, index])) };
  return ranked.rank;
}

function compareValues(left: Value, right: Value, sign: 1 | -1): number {
  if (left === right) return 0;
  // Unknown comes last in either direction.
  if (left === null) return 1;
  if (right === null) return -1;
  return left < right ? -sign : sign;
}

/** All rows in order; equal ones by device id. */
export function sortRows(rows: readonly DeviceRow[], { key, descending }: Order): DeviceRow[] {
  const rank = rankIds(rows);
  const sign = descending ? -1 : 1;
  const valueOf = VALUES[key];
  const byId = key === 'device' ? sign : 1;
  return rows
    .map((row) => ({ row, value: valueOf(row), rank: rank.get(row.deviceId) ?? 0 }))
    .toSorted((a, b) => compareValues(a.value, b.value, sign) || byId * (a.rank - b.rank))
    .map(({ row }) => row);
}

/** A line of the table: a heading of a group, or a device. */
export type Line =
  | {
      readonly kind: 'group';
      readonly name: string;
      readonly devices: number;
      readonly online: number;
    }
  | { readonly kind: 'device'; readonly row: DeviceRow };

export const UNKNOWN_CLASS = 'class unknown';

/** Lines of a table grouped by class, groups by name, rows in the order given. */
export function groupLines(rows: readonly DeviceRow[]): Line[] {
  const groups = groupBy(rows, (row) => row.class ?? UNKNOWN_CLASS);
  return [...groups.entries()]
    .toSorted(([left], [right]) => collator.compare(left, right))
    .flatMap(([name, members]): Line[] => [
      {
        kind: 'group',
        name,
        devices: members.length,
        online: members.filter((row) => row.state === 'online').length,
      },
      ...members.map((row): Line => ({ kind: 'device', row })),
    ]);
}
