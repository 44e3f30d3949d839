import { z } from 'zod';
import { deviceStates } from '../../contracts/fleet-status.ts';
import { ID_PATTERN } from '../../contracts/ids.ts';
import { jobStatuses } from '../../contracts/job.ts';
import { MAX_PAYLOAD_BYTES } from '../protocol/outgoing.ts';
import { parseTopic } from '../protocol/topics.ts';

/**
 * What a reader of a fleet needs of each message. Looser than what devices write: a newer agent may
 * know precisions or phases that this one does not.
 */
const id = z.string().regex(ID_PATTERN);
const text = z.string().max(200);
const texts = z.array(text).max(100);
const whole = z.int().nonnegative();
/** One device that claims more must not leave a controller nothing to count on to. */
export const MAX_COUNTER = 2 ** 52;
const counter = whole.max(MAX_COUNTER);

const statusReader = z.object({
  deviceId: id,
  state: z.enum(deviceStates),
  session: z.int().positive(),
  bootId: text.nullable().default(null),
  since: text.default(''),
  ts: text.nullable().default(null),
  agent: text.default(''),
});

const cardReader = z.object({
  deviceId: id,
  session: z.int().positive(),
  agent: text,
  class: text,
  board: text,
  arch: text,
  tags: texts.default([]),
  precisions: texts.default([]),
  accelerators: texts.default([]),
  jobTypes: texts.default([]),
  keyIds: texts.default([]),
});

const modelReader = z.object({
  name: text,
  version: text,
  precision: text,
  digest: text,
  releaseCounter: whole,
});

const twinReader = z.object({
  deviceId: id,
  rev: z.int().positive(),
  activeModel: modelReader.nullable(),
  counters: z
    .object({ job: counter, twin: counter, epoch: counter.optional() })
    .optional()
    .catch(undefined),
  lastBench: z
    .object({
      p90Ms: z.number().nullish(),
      accuracy: z.object({ metric: text, value: z.number() }).nullish(),
    })
    .nullable()
    .default(null),
});

const recordReader = z.looseObject({
  deviceId: id,
  jobId: id,
  jobType: text,
  rolloutId: id.nullable().default(null),
  digest: text.nullable().default(null),
  seq: z.int().positive(),
  status: z.enum(jobStatuses),
  phase: text,
  outcome: text.nullable().default(null),
  reason: z
    .object({ code: text, text: z.string().max(2000) })
    .nullable()
    .default(null),
  progress: z.object({ done: z.number(), of: z.number() }).nullable().default(null),
  result: z.record(z.string(), z.unknown()).nullable().default(null),
  ts: text.default(''),
});

const telemetryReader = z.object({
  deviceId: id,
  stream: text,
  seq: z.int().positive(),
  ts: z.number(),
  mono: z.number().nullish(),
  bootId: text.nullable().default(null),
  delivery: z.looseObject({ replay: z.boolean().optional() }).optional(),
  values: z.record(z.string(), z.number().nullable()),
});

/** Whatever it says: that it is there shuts the device out. */
const revocationReader = z.object({ deviceId: id });

export type SeenRevocation = z.infer<typeof revocationReader>;
export type SeenStatus = z.infer<typeof statusReader>;
export type SeenCard = z.infer<typeof cardReader>;
export type SeenTwin = z.infer<typeof twinReader>;
export type SeenModel = z.infer<typeof modelReader>;
export type SeenRecord = z.infer<typeof recordReader>;
export type SeenTelemetry = z.infer<typeof telemetryReader>;

/** A message of a device. `value` is null where a retained one was taken away. */
export type FleetMessage = { readonly deviceId: string } & (
  | { readonly kind: 'status'; readonly value: SeenStatus | null }
  | { readonly kind: 'card'; readonly value: SeenCard | null }
  | { readonly kind: 'twin'; readonly value: SeenTwin | null }
  | { readonly kind: 'record'; readonly jobId: string; readonly value: SeenRecord | null }
  | { readonly kind: 'telemetry'; readonly value: SeenTelemetry }
  | { readonly kind: 'revocation'; readonly value: SeenRevocation | null }
);

/**
 * What a message of a device says; null for what is none, cannot be read, or names another device than
 * its topic. Never throws.
 */
export function readFleetMessage(topic: string, payload: Uint8Array): FleetMessage | null {
  const parsed = parseTopic(topic);
  const deviceId = parsed?.ids['device'];
  if (parsed === null || deviceId === undefined) return null;
  const jobId = parsed.ids['job'] ?? '';
  if (payload.length === 0) return cleared(parsed.kind, deviceId, jobId);
  if (payload.length > MAX_PAYLOAD_BYTES) return null;
  const message = valued(parsed.kind, deviceId, jobId, parseJson(payload));
  return message?.value?.deviceId === deviceId ? message : null;
}

function cleared(kind: string, deviceId: string, jobId: string): FleetMessage | null {
  if (kind === 'status' || kind === 'card' || kind === 'revocation') {
    return { kind, deviceId, value: null };
  }
  if (kind === 'reportedTwin') return { kind: 'twin', deviceId, value: null };
  if (kind === 'execution') return { kind: 'record', deviceId, jobId, value: null };
  return null;
}

function valued(kind: string, deviceId: string, jobId: string, json: unknown): FleetMessage | null {
  switch (kind) {
    case 'status':
      return readAs(statusReader, json, (value) => ({ kind, deviceId, value }));
    case 'card':
      return readAs(cardReader, json, (value) => ({ kind, deviceId, value }));
    case 'reportedTwin':
      return readAs(twinReader, json, (value) => ({ kind: 'twin', deviceId, value }));
    case 'execution':
      return readAs(recordReader, json, (value) =>
        value.jobId === jobId ? { kind: 'record', deviceId, jobId, value } : null,
      );
    case 'telemetry':
      return readAs(telemetryReader, json, (value) => ({ kind, deviceId, value }));
    case 'revocation':
      return readAs(revocationReader, json, (value) => ({ kind, deviceId, value }));
    default:
      return null;
  }
}

function readAs<T>(
  schema: z.ZodType<T>,
  json: unknown,
  make: (value: T) => FleetMessage | null,
): FleetMessage | null {
  const parsed = schema.safeParse(json);
  return parsed.success ? make(parsed.data) : null;
}

function parseJson(payload: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  } catch {
    // Whatever somebody has left there; no schema takes it.
    return undefined;
  }
}
