import { z } from 'zod';
import { requestSchema } from '../../contracts/fleet-request.ts';
import type { DeviceRequest } from '../../contracts/fleet-request.ts';
import { MAX_PAYLOAD_BYTES } from '../protocol/outgoing.ts';
import { parseTopic } from '../protocol/topics.ts';
import type { TopicKind } from '../protocol/topics.ts';
import { refuse } from './refusals.ts';
import type { Refusal } from './refusals.ts';

/** What a broker delivers. */
export interface RawMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retain: boolean;
  /** MQTT 5 only. */
  readonly responseTopic?: string | undefined;
  readonly correlationData?: Uint8Array | undefined;
}

/** A document with signatures that have not been looked at yet. */
export type UnverifiedDocument = Readonly<Record<string, unknown>>;

export type Incoming =
  | { readonly kind: 'twin'; readonly document: UnverifiedDocument }
  | { readonly kind: 'job'; readonly jobId: string; readonly document: UnverifiedDocument }
  | { readonly kind: 'job-cleared'; readonly jobId: string }
  | { readonly kind: 'request'; readonly method: string; readonly request: DeviceRequest }
  | { readonly kind: 'announcement'; readonly group: string }
  | { readonly kind: 'status'; readonly state: string; readonly session: number }
  | { readonly kind: 'nothing' };

/** Ours are three or four deep; whoever walks a document later may do it by recursion. */
const MAX_DEPTH = 32;

const signedEnvelopeSchema = z.looseObject({ schema: z.literal('edgefit/signed/1') });
const ownStatusSchema = z.looseObject({
  schema: z.literal('edgefit/status/1'),
  state: z.string().max(32),
  session: z.int(),
});

function depthWithin(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (levels === 0) return false;
  return Object.values(value).every((inner) => depthWithin(inner, levels - 1));
}

function readJson(payload: Uint8Array): { readonly json: object } | Refusal {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(payload);
  } catch {
    return refuse('NOT_UTF8', 'the payload is not UTF-8');
  }
  try {
    value = JSON.parse(text);
  } catch {
    return refuse('NOT_JSON', 'the payload is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refuse('NOT_JSON', 'the payload is not a JSON object');
  }
  if (!depthWithin(value, MAX_DEPTH)) return refuse('TOO_DEEP', `nested over ${MAX_DEPTH} levels`);
  return { json: value };
}

/** Told apart by our own wrapper, never by what a payload holds. */
function isRefusal(value: object): value is Refusal {
  return 'refused' in value && 'why' in value;
}

/** Parses with a schema; a version that this agent does not know is told apart from a wrong field. */
function readAs<T>(schema: z.ZodType<T>, payload: Uint8Array): { readonly value: T } | Refusal {
  const read = readJson(payload);
  if (isRefusal(read)) return read;
  const parsed = schema.safeParse(read.json);
  if (parsed.success) return { value: parsed.data };
  const [issue] = parsed.error.issues;
  const key = issue?.path.map(String).join('.') ?? '';
  if (key === 'schema') return refuse('UNKNOWN_SCHEMA', `schema: ${issue?.message ?? ''}`);
  return refuse('BAD_FIELD', `${key}: ${issue?.message ?? ''}`);
}

/**
 * What a message says, or why it is refused. Pure, and never throws: whatever a broker sends ends
 * here in one of the two. Signatures are checked later, of `document`s.
 */
export function readIncoming(message: RawMessage, deviceId: string): Incoming | Refusal {
  const parsed = parseTopic(message.topic);
  if (parsed === null) return refuse('BAD_TOPIC', 'not a topic of this protocol');
  const { kind, ids } = parsed;
  if (ids['device'] !== undefined && ids['device'] !== deviceId) {
    return refuse('FOREIGN_DEVICE', 'it is for another device');
  }
  if (message.payload.length > MAX_PAYLOAD_BYTES) {
    return refuse('TOO_LARGE', `${message.payload.length} bytes, ${MAX_PAYLOAD_BYTES} are allowed`);
  }
  const reader = READERS[kind];
  if (reader === undefined) return refuse('BAD_TOPIC', 'a device does not read this topic');
  return reader(message, ids);
}

type Reader = (message: RawMessage, ids: Readonly<Record<string, string>>) => Incoming | Refusal;

const isEmpty = ({ payload }: RawMessage): boolean => payload.length === 0;

/** An empty payload is how a retained document is taken away. */
const READERS: Readonly<Partial<Record<TopicKind, Reader>>> = {
  job: (message, { job: jobId = '' }) =>
    isEmpty(message)
      ? { kind: 'job-cleared', jobId }
      : withDocument(message, (document) => ({ kind: 'job', jobId, document })),
  desiredTwin: (message) =>
    isEmpty(message)
      ? { kind: 'nothing' }
      : withDocument(message, (document) => ({ kind: 'twin', document })),
  request: (message, { method = '' }) => readRequest(message, method),
  announcement: (_message, { group = '' }) => ({ kind: 'announcement', group }),
  status: (message) =>
    isEmpty(message) ? { kind: 'status', state: 'cleared', session: 0 } : readStatus(message),
};

function withDocument(
  { payload }: RawMessage,
  make: (document: UnverifiedDocument) => Incoming,
): Incoming | Refusal {
  const json = readJson(payload);
  if (isRefusal(json)) return json;
  // Goes on, so that its sender is told; whoever checks signatures finds none.
  if (!hasEnvelope(json.json)) return make({ ...json.json });
  const read = readAs(signedEnvelopeSchema, payload);
  return isRefusal(read) ? read : make(read.value);
}

/** Signed in this or another version, or at least with signatures. */
function hasEnvelope(json: object): boolean {
  const schema = 'schema' in json ? json.schema : null;
  // Any JSON may stand there, also an object with a toString of its own.
  return (
    (typeof schema === 'string' && schema.startsWith('edgefit/signed/')) || isSigned({ ...json })
  );
}

/** Whether there is any signature to look at. */
export function isSigned({ signatures }: UnverifiedDocument): boolean {
  return Array.isArray(signatures) && signatures.length > 0;
}

function readRequest({ payload, retain }: RawMessage, method: string): Incoming | Refusal {
  // A retained one would be asked again at every start.
  if (retain) return refuse('RETAINED', 'requests must not be retained');
  const read = readAs(requestSchema, payload);
  return isRefusal(read) ? read : { kind: 'request', method, request: read.value };
}

function readStatus({ payload }: RawMessage): Incoming | Refusal {
  const read = readAs(ownStatusSchema, payload);
  if (isRefusal(read)) return read;
  return { kind: 'status', state: read.value.state, session: read.value.session };
}
