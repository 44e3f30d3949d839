import { X509Certificate } from 'node:crypto';
import { connect } from 'mqtt';
import type {
  IClientOptions,
  IClientPublishOptions,
  IConnackPacket,
  IPublishPacket,
  MqttClient,
} from 'mqtt';
import { messageOf } from '../util/errors.ts';
import type { BrokerAddress } from './broker-url.ts';
import { reasonCodeOf } from './explain.ts';
import type { ConnectionContext } from './explain.ts';
import type { OutgoingMessage } from './protocol/outgoing.ts';
import { ReportError } from './report-error.ts';

/** One connection attempt and everything that can end it. Used by broker-connection.ts only. */

/** PEM texts. `ca` replaces the system's CAs; `cert` and `key` go together. */
export interface TlsFiles {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface BrokerSettings {
  readonly address: BrokerAddress;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly tls?: TlsFiles | undefined;
}

/** MQTT 5, or 3.1.1 (which numbers itself 4). */
export type ProtocolVersion = 5 | 4;

/** What a long-lived connection has beyond one that only publishes. */
export interface SessionSetup {
  readonly keepAliveSeconds: number;
  /** How long the broker keeps the session while the client is away (MQTT 5; 3.1.1 has no say). */
  readonly expirySeconds: number;
  /** Published by the broker when this connection ends without a goodbye. */
  readonly will: OutgoingMessage;
  /** Called for everything that arrives, also before a subscription is acknowledged. */
  readonly onMessage: (packet: IPublishPacket) => void;
}

export interface ConnectOptions {
  readonly clientId: string;
  /** Longest wait for any one answer of the broker. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Tried in this order; the next only when the broker does not speak the one before. */
  readonly protocols?: readonly ProtocolVersion[];
  /** A persistent session; without it the session is clean and has no will. */
  readonly session?: SessionSetup | undefined;
  /** What arrives where there is no session. */
  readonly onMessage?: SessionSetup['onMessage'] | undefined;
  /** Published by the broker when a clean session ends without a goodbye. */
  readonly will?: OutgoingMessage | undefined;
}

/**
 * Largest packet that the broker is asked to send (MQTT 5): well above what a device accepts, so
 * that a message that is a little too large is refused by name, and far below its memory.
 */
const MAX_INCOMING_BYTES = 1024 * 1024;

/** How long a polite DISCONNECT may take before the socket is destroyed. */
const CLOSE_MS = 1000;

/** Whether a subscription brings what is retained (MQTT 5; 3.1.1 always brings it). */
export interface SubscribeOptions {
  readonly withRetained?: boolean;
}

/** How a connection ended: with an error of the library or socket, or without a word. */
export interface Ending {
  readonly error?: unknown;
}

export interface Link {
  readonly client: MqttClient;
  readonly context: ConnectionContext;
  readonly options: ConnectOptions;
  /** Resolves once, when the connection is over or the caller has given up. */
  readonly ended: Promise<Ending>;
  /** Reason of the broker's DISCONNECT (MQTT 5 only). */
  readonly disconnectReason: () => number | undefined;
}

export type Outcome<T> = { readonly done: T } | { readonly ending: Ending } | 'silence';

function willOptions(will: OutgoingMessage, protocol: ProtocolVersion): IClientOptions {
  const { topic, payload, retain, schema } = will;
  const properties = { contentType: 'application/json', userProperties: { schema } };
  return {
    will: {
      topic,
      payload: Buffer.from(payload),
      qos: 1,
      retain,
      ...(protocol === 5 ? { properties } : {}),
    },
  };
}

function sessionOptions(session: SessionSetup, protocol: ProtocolVersion): IClientOptions {
  return {
    clean: false,
    keepalive: session.keepAliveSeconds,
    // What arrives counts as a sign of life of the broker too.
    reschedulePings: true,
    // Ours repeats what is not acknowledged itself.
    queueQoSZero: false,
    resubscribe: false,
    ...willOptions(session.will, protocol),
    ...(protocol === 5
      ? {
          properties: {
            sessionExpiryInterval: session.expirySeconds,
            maximumPacketSize: MAX_INCOMING_BYTES,
          },
        }
      : {}),
  };
}

function libraryOptions(
  { address, user, password, tls }: BrokerSettings,
  { clientId, session, will }: ConnectOptions,
  protocolVersion: ProtocolVersion,
): IClientOptions {
  const webSocket = address.path !== '';
  return {
    protocol: address.protocol,
    // The WebSocket transport builds a URL from it, where IPv6 takes brackets.
    hostname: webSocket && address.host.includes(':') ? `[${address.host}]` : address.host,
    port: address.port,
    ...(webSocket ? { path: address.path } : {}),
    clientId,
    protocolVersion,
    ...(session === undefined ? { clean: true } : sessionOptions(session, protocolVersion)),
    ...(will === undefined ? {} : willOptions(will, protocolVersion)),
    reconnectPeriod: 0,
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    ...tls,
  };
}

function createClient(
  settings: BrokerSettings,
  options: ConnectOptions,
  protocol: ProtocolVersion,
): MqttClient {
  try {
    return connect(libraryOptions(settings, options, protocol));
  } catch (error) {
    // Node refuses unusable certificates and keys before it connects.
    const why = `the TLS files cannot be used (${messageOf(error)})`;
    const fix = 'check --mqtt-ca, --mqtt-cert and --mqtt-key';
    throw new ReportError('TLS', `${settings.address.display}: ${why}; ${fix}`, error);
  }
}

/** Starts to connect. */
export function openLink(
  settings: BrokerSettings,
  options: ConnectOptions,
  protocol: ProtocolVersion,
): Link {
  const client = createClient(settings, options, protocol);
  const onMessage = options.session?.onMessage ?? options.onMessage;
  if (onMessage !== undefined)
    client.on('message', (_topic, _payload, packet) => onMessage(packet));
  let reason: number | undefined;
  let streamError: unknown;
  client.on('disconnect', (packet) => {
    reason = packet.reasonCode;
  });
  // The library passes on only those stream errors that have a code; a WebSocket's have none.
  client.stream.on('error', (error: unknown) => {
    streamError = error;
  });
  const ended = new Promise<Ending>((resolve) => {
    client.on('error', (error) => resolve({ error }));
    client.on('close', () => resolve({ error: streamError }));
    const giveUp = () => resolve({});
    options.signal?.addEventListener('abort', giveUp, { once: true });
    client.once('close', () => options.signal?.removeEventListener('abort', giveUp));
  });
  const { display, protocol: transport } = settings.address;
  const secure = transport === 'mqtts' || transport === 'wss';
  const certified = nameIn(settings.tls?.cert);
  const context = { broker: display, user: settings.user, certified, secure, protocol };
  return { client, context, options, ended, disconnectReason: () => reason };
}

/** Waits for `work`, the end of the connection or the end of patience, whichever comes first. */
export async function firstOf<T>(work: Promise<T>, link: Link): Promise<Outcome<T>> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<'silence'>((resolve) => {
    timer = setTimeout(() => resolve('silence'), link.options.timeoutMs);
  });
  try {
    return await Promise.race([
      work.then((done) => ({ done })),
      link.ended.then((ending) => ({ ending })),
      silence,
    ]);
  } finally {
    clearTimeout(timer);
  }
}

export function connackOf(client: MqttClient): Promise<IConnackPacket> {
  return new Promise((resolve) => {
    client.once('connect', resolve);
  });
}

/**
 * The reason code of the acknowledgement; undefined when the connection closed before it. A message
 * of QoS 0 counts as acknowledged when it is on its way.
 */
export function pubackOf(
  client: MqttClient,
  message: OutgoingMessage,
): Promise<number | undefined> {
  const { schema, expirySeconds, correlationData } = message;
  const options: IClientPublishOptions = {
    qos: message.qos ?? 1,
    retain: message.retain,
    // Sent under MQTT 5 only, and only a convenience: the payload names its schema itself.
    properties: {
      payloadFormatIndicator: true,
      contentType: 'application/json',
      userProperties: { schema, ...message.marks },
      ...(expirySeconds === undefined ? {} : { messageExpiryInterval: expirySeconds }),
      ...(correlationData === undefined ? {} : { correlationData: Buffer.from(correlationData) }),
    },
  };
  return new Promise((resolve) => {
    client.publish(message.topic, message.payload, options, (error) => {
      resolve(error ? reasonCodeOf(error) : 0);
    });
  });
}

/** The reason code for each filter, in order; 128 and more mean no. */
export function subackOf(
  client: MqttClient,
  filters: readonly string[],
  { withRetained = true }: SubscribeOptions = {},
): Promise<readonly number[]> {
  return new Promise((resolve) => {
    const options = { qos: 1 as const, rh: withRetained ? 0 : 2 };
    client.subscribe([...filters], options, (error, granted, packet) => {
      if (packet !== undefined) resolve(packet.granted.map(Number));
      else if (error === null) resolve((granted ?? []).map(({ qos }) => qos));
      // Otherwise the connection is over, which the caller learns by itself.
    });
  });
}

/** Resolves when the broker has acknowledged. */
export function unsubackOf(client: MqttClient, filters: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    client.unsubscribe([...filters], () => resolve());
  });
}

/** Says goodbye, or nothing to a broker that is gone or owes an acknowledgement. */
export async function closeLink({ client }: Link): Promise<void> {
  const inOrder = client.connected && Object.keys(client.outgoing).length === 0;
  let timer: NodeJS.Timeout | undefined;
  const impatient = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, CLOSE_MS);
  });
  await Promise.race([client.endAsync(!inOrder), impatient]);
  clearTimeout(timer);
  client.stream.destroy();
}

/** The common name of a certificate; undefined where there is none that can be read. */
function nameIn(cert: string | undefined): string | undefined {
  if (cert === undefined) return undefined;
  try {
    return /^CN=(.+)$/m.exec(new X509Certificate(cert).subject)?.[1];
  } catch {
    // Whether it is good, TLS will say.
    return undefined;
  }
}
