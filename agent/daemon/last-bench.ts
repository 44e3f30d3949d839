import { createHash } from 'node:crypto';
import type { BenchReport, CandidateRow } from '../contracts/bench.ts';
import type { DecisionRecord } from '../contracts/fit.ts';
import type { DeviceParts } from '../fleet/device/device.ts';
import { benchIdOf, benchMessage } from '../fleet/protocol/outgoing.ts';

export interface BenchOfModel {
  readonly model: string;
  readonly report: BenchReport;
  readonly known?: CandidateRow['accuracy'] | undefined;
}

/** The row of what was chosen: of a bench as it is, the only one. */
export function rowOf(report: BenchReport): CandidateRow | null {
  const { candidates, chosen } = report;
  return candidates.find(({ id }) => id === chosen) ?? candidates[0] ?? null;
}

/**
 * Sends a report, and says in the twin where it went and what it found, if it is of the model that the
 * twin names. Where the report has no accuracy, the last one that was measured stands, else `known`, that
 * of the fit.
 */
export async function tellBench(
  parts: DeviceParts,
  deviceId: string,
  { model, report, known = null }: BenchOfModel,
): Promise<void> {
  const { outbox, twin, session } = parts;
  const benchId = benchIdOf(report);
  const row = rowOf(report);
  const accuracy = row?.accuracy ?? twin.lastBench()?.accuracy ?? known;
  const { topic, schema } = benchMessage(deviceId, report, benchId);
  await outbox.add({ topic, schema, retain: false, priority: 'low', document: report });
  if (twin.activeModel()?.name !== model) return;
  await twin.setLastBench({
    benchId,
    digest: createHash('sha256').update(JSON.stringify(report)).digest('hex'),
    ts: new Date().toISOString(),
    p90Ms: row?.latencyMs?.p90 ?? null,
    accuracy: accuracy === null ? null : { metric: accuracy.metric, value: accuracy.value },
  });
  await session.publish(twin.message(new Date()));
}

/**
 * After a switch: what the release was measured to be when it was fitted stands until it is measured
 * again. May be told twice of one switch. Null: no model is left, or nothing is known of it.
 */
export async function tellFitted(
  parts: DeviceParts,
  deviceId: string,
  model: string,
  record: DecisionRecord | null,
): Promise<void> {
  if (record !== null) return tellBench(parts, deviceId, { model, report: record.bench });
  await parts.twin.setLastBench(null);
  await parts.session.publish(parts.twin.message(new Date()));
}
