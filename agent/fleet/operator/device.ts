import type { z } from 'zod';
import { birthSchema, type Birth } from '../../contracts/messages.ts';
import { deviceDecisionSchema, type DeviceDecision } from '../../contracts/device-decision.ts';
import { statusSchema, type Status } from '../../contracts/fleet-status.ts';
import { twinSchema, type Twin } from '../../contracts/fleet-twin.ts';
import { jobRecordSchema, type JobRecord } from '../../contracts/job.ts';
import { parseTopic, TOPIC_ROOT, topicFor, type TopicKind } from '../protocol/topics.ts';
import type { Arrival, OperatorChannel } from './channel.ts';
import { OperatorError } from './error.ts';
import { readPayload, readRetained, waitFor } from './wait.ts';

interface ReadOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** What a broker keeps comes with its answer to the subscription: nothing later is awaited for longer. */
export const KEPT_MS = 4000;

/** What a device says it is doing. Throws OperatorError (UNKNOWN_DEVICE). */
export async function readTwin(
  channel: OperatorChannel,
  deviceId: string,
  { timeoutMs, signal }: ReadOptions,
): Promise<Twin> {
  const twin = await waitFor(channel, {
    filters: [topicFor('reportedTwin', { device: deviceId })],
    timeoutMs: Math.min(timeoutMs, KEPT_MS),
    signal,
    pick: (arrival) => readPayload(twinSchema, arrival) ?? undefined,
  });
  if (twin === null) throw unknownDevice(deviceId);
  return twin;
}

function unknownDevice(deviceId: string): OperatorError {
  const text = `the broker keeps nothing of ${deviceId}`;
  return new OperatorError('UNKNOWN_DEVICE', `${text}: agent fleet ls shows who is there`);
}

/** The counter that the next job for a device needs. Throws OperatorError (NO_COUNTER). */
export function nextJobCounter(twin: Twin): number {
  const { counters } = twin;
  const job = counters?.job;
  if (job === undefined) {
    const text = `the twin of ${twin.deviceId} does not say which jobs it has taken`;
    throw new OperatorError('NO_COUNTER', `${text}: its agent is too old, sign one by hand`);
  }
  return job + 1;
}

/** Everything that the broker keeps of one device. */
export interface DeviceView {
  readonly deviceId: string;
  readonly status: Status | null;
  readonly birth: Birth | null;
  readonly twin: Twin | null;
  /** Of every model that runs there, by name; none from an agent that does not tell. */
  readonly decisions: readonly DeviceDecision[];
  /** The newest first. */
  readonly jobs: readonly JobRecord[];
  /** Every retained message of it, up and down, as it is. */
  readonly kept: readonly Arrival[];
}

/** Reads what is retained of one device. Throws OperatorError when there is nothing. */
export async function readDevice(
  channel: OperatorChannel,
  deviceId: string,
  signal?: AbortSignal,
): Promise<DeviceView> {
  const base = topicFor('status', { device: deviceId }).slice(0, -'/up/status'.length);
  const kept = await readRetained(channel, [`${base}/#`], signal === undefined ? {} : { signal });
  if (!kept.some(({ topic }) => topic.startsWith(`${TOPIC_ROOT}/d/${deviceId}/up/`))) {
    throw unknownDevice(deviceId);
  }
  const jobs = allOf(kept, 'execution', jobRecordSchema).toSorted((a, b) => (a.ts < b.ts ? 1 : -1));
  const decisions = allOf(kept, 'decision', deviceDecisionSchema);
  return {
    deviceId,
    status: pick(kept, topicFor('status', { device: deviceId }), statusSchema),
    birth: pick(kept, topicFor('birth', { device: deviceId }), birthSchema),
    twin: pick(kept, topicFor('reportedTwin', { device: deviceId }), twinSchema),
    decisions: decisions.toSorted((a, b) => (a.model < b.model ? -1 : 1)),
    jobs,
    kept,
  };
}

function allOf<T>(kept: readonly Arrival[], kind: TopicKind, schema: z.ZodType<T>): readonly T[] {
  return kept
    .filter(({ topic }) => parseTopic(topic)?.kind === kind)
    .map((arrival) => readPayload(schema, arrival))
    .filter((document) => document !== null);
}

function pick<T>(kept: readonly Arrival[], wanted: string, schema: z.ZodType<T>): T | null {
  const arrival = kept.find(({ topic }) => topic === wanted);
  return arrival === undefined ? null : readPayload(schema, arrival);
}
