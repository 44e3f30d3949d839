import type { IPublishPacket } from 'mqtt';
import type { Facts } from '../../contracts/facts.ts';
import type { Settings } from '../../contracts/fleet-twin.ts';
import { messageOf } from '../../util/errors.ts';
import { openOutbox } from '../outbox/outbox.ts';
import type { Outbox } from '../outbox/outbox.ts';
import type { QueueLimits } from '../outbox/queue.ts';
import { birthMessage, cardMessage } from '../protocol/outgoing.ts';
import type { OutgoingMessage } from '../protocol/outgoing.ts';
import { downFilter, topicFilter, topicFor } from '../protocol/topics.ts';
import { readIncoming } from './incoming.ts';
import type { Incoming, RawMessage } from './incoming.ts';
import type { JobsPort } from './jobs-port.ts';
import { refusalCounter, refuse } from './refusals.ts';
import type { RefusalCounter } from './refusals.ts';
import { answerRequest } from './requests.ts';
import type { Answer } from './requests.ts';
import { startSession } from './session.ts';
import type { DeviceSession, SessionLog, SessionOptions } from './session.ts';
import { sessionNumbers } from './session-number.ts';
import { openTwin } from './twin.ts';
import type { ReadCounters, TwinStore, VerifyDocument } from './twin.ts';

export interface DeviceOptions {
  readonly connect: Pick<
    SessionOptions,
    | 'broker'
    | 'renewBroker'
    | 'protocols'
    | 'keepAliveSeconds'
    | 'expirySeconds'
    | 'timeoutMs'
    | 'backoff'
  >;
  readonly deviceId: string;
  /** Version of the agent. */
  readonly agent: string;
  readonly bootId: string | null;
  /** The state folder. */
  readonly state: string;
  readonly outboxLimits: QueueLimits;
  /** Probed when first needed, and kept. */
  readonly facts: () => Promise<Facts>;
  /** Of the configuration; a desired twin may replace them. */
  readonly tags: readonly string[];
  readonly verify: VerifyDocument;
  readonly keyIds: () => readonly string[];
  readonly jobs: JobsPort;
  /** Of signed documents, for the twin; absent where no jobs are taken. */
  readonly counters?: ReadCounters | undefined;
  /** Answers to `dn/req/{method}` beyond `ping` and `rebirth`. */
  readonly answers: (device: DeviceParts) => Readonly<Record<string, Answer>>;
  /** New signed metadata has been announced to this device's groups. */
  readonly onAnnouncement: (group: string) => void;
  readonly onSettings: (settings: Settings) => void;
  readonly log: SessionLog;
}

export interface DeviceParts {
  readonly session: DeviceSession;
  readonly outbox: Outbox;
  readonly twin: TwinStore;
  readonly refusals: RefusalCounter;
}

export interface Device extends DeviceParts {
  /** Other keys count now: what nobody could verify is looked at again. */
  readonly onKeys: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** Every device hears this one, whatever its tags are. */
const EVERYBODY = 'all';
/** Messages that wait to be looked at; a flood beyond is refused, so that memory stays bounded. */
const MAX_PENDING_BYTES = 4 * 1024 * 1024;
/** What a waiting message costs beside its payload. */
const MESSAGE_OVERHEAD_BYTES = 1024;
/**
 * The twin is told again when jobs have moved its counters on by more: whoever counts on from it must
 * stay far above what is refused as a replay.
 */
const UNTOLD_JOBS = 8;

/** Starts a device at its broker: presence, twin, requests, jobs, outbox. Throws FileError. */
export async function startDevice(options: DeviceOptions): Promise<Device> {
  const { deviceId, agent, bootId, state, log } = options;
  const warn = (message: string) => log.warn({}, message);
  const { verify, counters } = options;
  const twin = await openTwin({ state, deviceId, verify, warn, counters });
  options.onSettings(twin.settings());
  const outbox = openOutbox({ state, limits: options.outboxLimits, warn });
  const refusals = refusalCounter((code, why, topic) => log.warn({ code, why, topic }, 'refused'));
  const tags = () => twin.settings().tags ?? options.tags;

  async function* retained(session: number): AsyncIterable<OutgoingMessage> {
    const self = {
      deviceId,
      facts: await options.facts(),
      agent,
      session,
      now: new Date(),
      daemon: { bootId, tags: tags(), jobs: options.jobs.types, keyIds: options.keyIds() },
    };
    yield cardMessage(self);
    yield birthMessage(self);
    yield twin.message(new Date());
    yield* options.jobs.openRecords();
    yield* options.jobs.decisions();
  }
  const session = startSession({
    ...options.connect,
    deviceId,
    agent,
    bootId,
    nextSession: sessionNumbers(state, warn).next,
    filters: [downFilter(deviceId)],
    // Its own status, to see a will that comes late; groups, for news of metadata.
    optionalFilters: [
      topicFor('status', { device: deviceId }),
      ...[EVERYBODY, ...tags()].map((group) => topicFilter('announcement', { group })),
    ],
    retained,
    onMessage: (packet) => receive(rawOf(packet)),
    onOnline: (connection) => outbox.online(connection),
    log,
  });
  const parts: DeviceParts = { session, outbox, twin, refusals };
  const answers: Readonly<Record<string, Answer>> = {
    ping: async () => ({ session: session.sessionNumber(), bootId, agent }),
    rebirth: async () => {
      session.refreshStatus();
      void session.republish();
      return {};
    },
    ...options.answers(parts),
  };
  const act = (incoming: Incoming, raw: RawMessage) =>
    handle(incoming, raw, { ...options, ...parts, requests: answers });

  let pendingBytes = 0;
  let last: Promise<void> = Promise.resolve();
  const receive = (raw: RawMessage): void => {
    const bytes = raw.payload.length + MESSAGE_OVERHEAD_BYTES;
    const incoming =
      pendingBytes + bytes > MAX_PENDING_BYTES
        ? refuse('BUSY', 'too many messages at once')
        : readIncoming(raw, deviceId);
    if ('refused' in incoming) {
      refusals.count(incoming, raw.topic);
      return;
    }
    pendingBytes += bytes;
    last = last
      .then(() => act(incoming, raw))
      .catch((error: unknown) => {
        refusals.count(refuse('FAILED', messageOf(error)), raw.topic);
      })
      .then(() => {
        pendingBytes -= bytes;
      });
  };
  return {
    ...parts,
    onKeys: async () => {
      const outcome = await twin.retry();
      if (!('refused' in outcome) && outcome.changed) options.onSettings(twin.settings());
      await session.republish();
    },
    stop: async () => {
      await session.stop();
      await outbox.close();
    },
  };
}

function rawOf({ topic, payload, retain, properties }: IPublishPacket): RawMessage {
  return {
    topic,
    payload: typeof payload === 'string' ? Buffer.from(payload) : payload,
    retain,
    responseTopic: properties?.responseTopic,
    correlationData: properties?.correlationData,
  };
}

type Handling = DeviceOptions &
  DeviceParts & { readonly requests: Readonly<Record<string, Answer>> };

async function handle(incoming: Incoming, raw: RawMessage, device: Handling): Promise<void> {
  const { session, twin, refusals, jobs } = device;
  switch (incoming.kind) {
    case 'nothing':
      return;
    case 'status':
      return heedOwnStatus(incoming, device);
    case 'announcement':
      device.onAnnouncement(incoming.group);
      return;
    case 'job-cleared':
      await jobs.onCleared(incoming.jobId);
      return;
    case 'job': {
      const refusal = await jobs.onJob(incoming.jobId, incoming.document);
      if (refusal !== null) refusals.count(refusal, raw.topic);
      const untold = refusal?.refused === 'REPLAYED' ? 0 : UNTOLD_JOBS;
      if (twin.isBehind(untold)) void session.publish(twin.message(new Date()));
      return;
    }
    case 'twin': {
      const outcome = await twin.accept(incoming.document);
      if ('refused' in outcome) refusals.count(outcome, raw.topic);
      else if (outcome.changed) device.onSettings(twin.settings());
      // The birth has the tags.
      if (!('refused' in outcome) && outcome.changed) void session.republish();
      else if ('refused' in outcome) void session.publish(twin.message(new Date()));
      return;
    }
    case 'request':
      await answer(incoming, raw, device);
  }
}

/** Something that says that this device is gone, while it is here: a will that came late. */
function heedOwnStatus(
  { state, session: number }: { readonly state: string; readonly session: number },
  { session, log }: Handling,
): void {
  const own = session.sessionNumber();
  if (own === null || (state === 'online' && number === own)) return;
  log.info({ state, session: number, own }, 'the retained status is not ours: published again');
  session.refreshStatus();
}

async function answer(
  { method, request }: Extract<Incoming, { readonly kind: 'request' }>,
  raw: RawMessage,
  { deviceId, requests, session, refusals }: Handling,
): Promise<void> {
  const context = { deviceId, answers: requests, now: () => new Date() };
  const outcome = await answerRequest(method, request, raw, context);
  const refusal = 'refused' in outcome ? outcome : outcome.refusal;
  if (refusal !== null) refusals.count(refusal, raw.topic);
  if ('refused' in outcome) return;
  await session.publish(outcome.message);
}
