import type { FleetSample } from '../../contracts/fleet-list.ts';
import type { DeviceRow } from '../../fleet/roster/row.ts';

/** A whole fleet in figures: pure functions. */

export interface Traffic {
  readonly messages: number;
  readonly telemetry: number;
  /** How long they were counted. */
  readonly seconds: number;
}

/** What the devices are doing now. */
export function sampleOf(
  rows: readonly DeviceRow[],
  { messages, telemetry, seconds }: Traffic,
  connected: boolean,
  nowMs: number,
): FleetSample {
  const there = rows.filter(({ state }) => state !== 'offline');
  const open = rows.flatMap(({ job }) =>
    job !== null && (job.status === 'IN_PROGRESS' || job.status === 'QUEUED') ? [job.phase] : [],
  );
  return {
    schema: 'edgefit/fleet-sample/1',
    ts: new Date(nowMs).toISOString(),
    connected,
    devices: rows.length,
    states: countsOf(rows.map(({ state, cloned }) => (cloned ? 'cloned' : state))),
    precisions: countsOf(rows.flatMap(({ model }) => (model === null ? [] : [model.precision]))),
    // What a device said before it went says nothing of now.
    celsius: summaryOf(there.map(({ celsius }) => celsius)),
    throttled: there.filter(({ throttled }) => throttled === true).length,
    p90Ms: summaryOf(rows.map(({ p90Ms }) => p90Ms)),
    openJobs: countsOf(open),
    messagesPerSecond: seconds > 0 ? messages / seconds : 0,
    telemetryPerSecond: seconds > 0 ? telemetry / seconds : 0,
  };
}

function countsOf(names: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return Object.fromEntries(counts);
}

function summaryOf(values: readonly (number | null)[]): FleetSample['celsius'] {
  const known = values.filter((value) => value !== null).toSorted((a, b) => a - b);
  return { devices: known.length, median: medianOf(known), max: known.at(-1) ?? null };
}

/** Of sorted values: the middle one, or the mean of the two. */
export function medianOf(sorted: readonly number[]): number | null {
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return low === undefined || high === undefined ? null : (low + high) / 2;
}
