import type { IConnackPacket } from 'mqtt';
import { codeOf } from '../util/errors.ts';
import { closeLink, connackOf, firstOf, openLink, pubackOf } from './broker-link.ts';
import type {
  BrokerSettings,
  ConnectOptions,
  Ending,
  Link,
  ProtocolVersion,
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
  /** Says goodbye and closes the socket. Never fails and never takes long. */
  readonly close: () => Promise<void>;
}

/** Bytes that a number below 2^21 takes in MQTT's variable-length form. */
function varintBytes(value: number): number {
  if (value < 128) return 1;
  return value < 16_384 ? 2 : 3;
}

/** Size of the PUBLISH packet under MQTT 5, with the properties that `pubackOf` sends. */
function packetBytes({ topic, payload, schema }: OutgoingMessage): number {
  // Payload format 2, content type 3 + 16, user property 1 + 2 + 6 + 2 and the schema's name.
  const properties = 32 + Buffer.byteLength(schema);
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
    return {
      protocol,
      publish: (message) => publish(message, outcome.done, link),
      close: () => closeLink(link),
    };
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
 * Connects with a clean session, MQTT 5 first and 3.1.1 when the broker does not speak it (it says
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
