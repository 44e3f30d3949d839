import type { IConnackPacket } from 'mqtt';
import { codeOf, messageOf } from '../util/errors.ts';
import {
  closeLink,
  connackOf,
  firstOf,
  openLink,
  pubackOf,
  subackOf,
  unsubackOf,
} from './broker-link.ts';
import type {
  BrokerSettings,
  ConnectOptions,
  Ending,
  Link,
  Outcome,
  ProtocolVersion,
  SubscribeOptions,
} from './broker-link.ts';
import {
  explainClosed,
  explainConnectFailure,
  explainPublishFailure,
  explainSilence,
  reasonCodeOf,
  refusesVersion,
  tooLarge,
} from './explain.ts';
import type { OutgoingMessage } from './protocol/outgoing.ts';
import { ReportError } from './report-error.ts';

export interface BrokerConnection {
  readonly protocol: ProtocolVersion;
  /** Publishes at QoS 1 and waits for the acknowledgement. Throws ReportError. */
  readonly publish: (message: OutgoingMessage) => Promise<void>;
  /** Subscribes at QoS 1 and waits for the answer: for each filter whether it was granted. */
  readonly subscribe: (
    filters: readonly string[],
    options?: SubscribeOptions,
  ) => Promise<readonly boolean[]>;
  readonly unsubscribe: (filters: readonly string[]) => Promise<void>;
  /** How many messages may be on their way unacknowledged. */
  readonly receiveMaximum: number;
  /** Resolves when the connection is over: the reason code of a DISCONNECT, or what went wrong. */
  readonly ended: Promise<{ readonly reason: number | undefined; readonly why: string }>;
  /** Says goodbye and closes the socket. Never fails and never takes long. */
  readonly close: () => Promise<void>;
}

/** Bytes that a number below 2^21 takes in MQTT's variable-length form. */
function varintBytes(value: number): number {
  if (value < 128) return 1;
  return value < 16_384 ? 2 : 3;
}

/** Size of the PUBLISH packet under MQTT 5, with the properties that `pubackOf` sends. */
function packetBytes({ topic, payload, schema, marks, ...rest5 }: OutgoingMessage): number {
  const pairs = Object.entries(marks ?? {}).reduce(
    (sum, [key, value]) => sum + 5 + Buffer.byteLength(key) + Buffer.byteLength(value),
    0,
  );
  // Payload format 2, content type 3 + 16, user property 1 + 2 + 6 + 2 and the schema's name.
  const properties =
    32 +
    Buffer.byteLength(schema) +
    pairs +
    (rest5.expirySeconds === undefined ? 0 : 5) +
    (rest5.correlationData === undefined ? 0 : 3 + rest5.correlationData.length);
  // Topic with its length, packet id, properties with their length, payload.
  const rest =
    2 +
    Buffer.byteLength(topic) +
    2 +
    varintBytes(properties) +
    properties +
    Buffer.byteLength(payload);
  return 1 + varintBytes(rest) + rest;
}

/** Refuses what the broker has announced (MQTT 5) that it would refuse, before sending it. */
function checkLimits(message: OutgoingMessage, connack: IConnackPacket, link: Link): void {
  const { broker } = link.context;
  const limit = connack.properties?.maximumPacketSize;
  const bytes = packetBytes(message);
  if (limit !== undefined && bytes > limit) {
    throw tooLarge(`${message.topic} takes ${bytes} bytes and ${broker} allows ${limit}`);
  }
  if (message.retain && connack.properties?.retainAvailable === false) {
    const fix = 'enable retained messages on the broker';
    throw new ReportError('REFUSED', `${broker} keeps no retained messages: ${fix}`);
  }
}

async function publish(message: OutgoingMessage, connack: IConnackPacket, link: Link) {
  checkLimits(message, connack, link);
  const { context, options } = link;
  const { topic, payload } = message;
  const bytes = Buffer.byteLength(payload);
  // Where the socket is gone already the library fails with a TypeError of its own.
  if (!link.client.connected) {
    options.signal?.throwIfAborted();
    throw explainPublishFailure(link.disconnectReason(), topic, bytes, context);
  }
  const outcome = await firstOf(pubackOf(link.client, message), link);
  options.signal?.throwIfAborted();
  if (outcome === 'silence') {
    throw explainSilence(context.broker, `acknowledging ${topic}`, options.timeoutMs);
  }
  const reason = 'done' in outcome ? outcome.done : undefined;
  // 16: accepted, but nobody has subscribed.
  if (reason === 0 || reason === 16) return;
  throw explainPublishFailure(reason ?? link.disconnectReason(), topic, bytes, context);
}

/** What the broker acknowledged, or what kept it from it. */
function acknowledged<T>(outcome: Outcome<T>, what: string, { context, options }: Link): T {
  options.signal?.throwIfAborted();
  if (outcome === 'silence') {
    throw explainSilence(context.broker, `acknowledging ${what}`, options.timeoutMs);
  }
  if (!('done' in outcome)) throw explainClosed(context);
  return outcome.done;
}

async function subscribe(
  filters: readonly string[],
  options: SubscribeOptions | undefined,
  link: Link,
): Promise<readonly boolean[]> {
  const outcome = await firstOf(subackOf(link.client, filters, options), link);
  return acknowledged(outcome, 'subscriptions', link).map((code) => code < 128);
}

async function unsubscribe(filters: readonly string[], link: Link): Promise<void> {
  const outcome = await firstOf(unsubackOf(link.client, filters), link);
  acknowledged(outcome, 'the end of subscriptions', link);
}

/** Of MQTT 5, when the broker names none; 3.1.1 has no such limit, and this one is enough. */
const DEFAULT_RECEIVE_MAXIMUM = 65_535;

function connectionOver(link: Link, connack: IConnackPacket): BrokerConnection {
  return {
    protocol: link.context.protocol,
    publish: (message) => publish(message, connack, link),
    subscribe: (filters, options) => subscribe(filters, options, link),
    unsubscribe: (filters) => unsubscribe(filters, link),
    receiveMaximum: connack.properties?.receiveMaximum ?? DEFAULT_RECEIVE_MAXIMUM,
    ended: link.ended.then(({ error }) => ({
      reason: link.disconnectReason(),
      why: error === undefined ? 'closed' : messageOf(error),
    })),
    close: () => closeLink(link),
  };
}

/** Whether a failure may only mean that the broker does not know this protocol version. */
function mayBeVersion(ending: Ending): boolean {
  const { error } = ending;
  const silent = error === undefined || codeOf(error) === 'ECONNRESET' || codeOf(error) === 'EPIPE';
  return silent || refusesVersion(reasonCodeOf(error));
}

async function tryProtocol(
  settings: BrokerSettings,
  options: ConnectOptions,
  protocol: ProtocolVersion,
): Promise<BrokerConnection | { readonly ending: Ending; readonly failure: ReportError }> {
  const link = openLink(settings, options, protocol);
  const { client, context } = link;
  const outcome = await firstOf(connackOf(client), link);
  if (outcome !== 'silence' && 'done' in outcome) {
    return connectionOver(link, outcome.done);
  }
  client.end(true);
  client.stream.destroy();
  options.signal?.throwIfAborted();
  if (outcome === 'silence') {
    throw explainSilence(context.broker, 'connecting', options.timeoutMs);
  }
  const { ending } = outcome;
  const failure =
    ending.error === undefined
      ? explainClosed(context)
      : explainConnectFailure(ending.error, context);
  return { ending, failure };
}

/**
 * Connects, MQTT 5 first and 3.1.1 when the broker does not speak it (it says
 * so, or hangs up at the CONNECT). Throws ReportError, or the signal's reason when aborted.
 */
export async function connectBroker(
  settings: BrokerSettings,
  options: ConnectOptions,
): Promise<BrokerConnection> {
  options.signal?.throwIfAborted();
  const protocols = options.protocols ?? [5, 4];
  let failure: ReportError | undefined;
  for (const protocol of protocols) {
    // oxlint-disable-next-line no-await-in-loop -- the second only if the first is not understood
    const result = await tryProtocol(settings, options, protocol);
    if ('publish' in result) return result;
    failure = result.failure;
    if (!mayBeVersion(result.ending)) break;
  }
  throw failure ?? new Error('no protocol version to try');
}
