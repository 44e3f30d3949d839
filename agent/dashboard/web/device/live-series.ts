import type { HistoryPoint } from '../../../contracts/dashboard.ts';
import { ONLINE_METRIC } from '../../../contracts/presence.ts';

/** What a device has sent: by metric, `null` where it cannot be read any more. */
export interface Sample {
  readonly ts: number;
  readonly values: Readonly<Record<string, number | null>>;
}

export type Latest = Readonly<
  Record<string, { readonly value: number | null; readonly ts: number }>
>;

/** Columns of a chart: times in seconds, then one column of values for each metric. */
export type Columns = readonly [
  times: readonly number[],
  ...values: (readonly (number | null)[])[],
];

interface Sources {
  readonly history: Readonly<Record<string, readonly HistoryPoint[]>>;
  readonly latest: Latest;
  readonly samples: readonly Sample[];
}

/** Times and values of one metric, in order of time, none after `to`. */
function pointsOf(
  metric: string,
  { history, latest, samples }: Sources,
): Map<number, number | null> {
  const points = new Map<number, number | null>();
  for (const [ts, mean] of history[metric] ?? []) points.set(ts, mean);
  const last = latest[metric];
  if (last !== undefined && last.ts >= Math.max(0, ...points.keys()))
    points.set(last.ts, last.value);
  for (const { ts, values } of samples) {
    const value = values[metric];
    if (value !== undefined) points.set(ts, value);
  }
  return points;
}

/**
 * What a chart shows from `from` to `to` (milliseconds). A device sends what has changed, so a value
 * holds until the next one: each column is filled on, and the last value reaches to `to`. While the
 * device was away nothing holds.
 */
export function columnsOf(
  metrics: readonly string[],
  sources: Sources,
  { from, to }: { readonly from: number; readonly to: number },
): Columns {
  const points = metrics.map((metric) => pointsOf(metric, sources));
  const presence = pointsOf(ONLINE_METRIC, sources);
  const times = [
    ...new Set([...[...points, presence].flatMap((each) => [...each.keys()]), from, to]),
  ]
    .filter((ts) => ts <= to)
    .toSorted((a, b) => a - b);
  const filled = points.map((each) => fill(times, each, presence));
  const first = times.findIndex((ts) => ts >= from);
  return [
    times.slice(first).map((ts) => ts / 1000),
    ...filled.map((column) => column.slice(first)),
  ];
}

type Points = ReadonlyMap<number, number | null>;

function fill(times: readonly number[], points: Points, presence: Points) {
  let current: number | null = null;
  let isAway = false;
  return times.map((ts) => {
    const there = presence.get(ts);
    if (there !== undefined) isAway = there === 0;
    const value = points.get(ts);
    if (value !== undefined) {
      current = value;
      // It had kept this, and has sent it later.
      if (there === undefined) isAway = false;
    }
    return isAway ? null : current;
  });
}

/** The last known value of a column. */
export function lastOf(column: readonly (number | null)[] | undefined): number | null {
  return column?.at(-1) ?? null;
}
