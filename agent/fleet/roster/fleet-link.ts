import { setTimeout as sleep } from 'node:timers/promises';
import type { IPublishPacket } from 'mqtt';
import { messageOf } from '../../util/errors.ts';
import { connectBroker } from '../broker-connection.ts';
import type { BrokerConnection } from '../broker-connection.ts';
import type { BrokerSettings, ProtocolVersion } from '../broker-link.ts';
import { backoffMs } from '../device/backoff.ts';
import type { BackoffLimits } from '../device/backoff.ts';
import type { OutgoingMessage } from '../protocol/outgoing.ts';
import { cardShard, parseTopic, topicFilter, topicFor } from '../protocol/topics.ts';
import { ReportError } from '../report-error.ts';
import { Pace } from './pace.ts';
import { readFleetMessage, type FleetMessage } from './read.ts';
import { RetainedReader } from './retained-reader.ts';
import { Roster, type Arrival } from './roster.ts';

export interface FleetLinkOptions {
  readonly broker: BrokerSettings;
  /** Readers of retained messages add to it. */
  readonly clientId: string;
  readonly timeoutMs: number;
  readonly protocols?: readonly ProtocolVersion[];
  readonly backoff?: BackoffLimits;
  /** Left at the broker for when this connection ends without a goodbye; made for each connection. */
  readonly will?: () => OutgoingMessage;
  /** Filters beyond those that the roster needs; what comes there goes to `onOther`. */
  readonly filters?: readonly string[];
  readonly onOther?: (packet: IPublishPacket) => void;
  /** Without the right to read everything there is no connection, only a reason why in the log. */
  readonly mustRead?: boolean;
  /** Asked before a live message of a device is parsed: false passes over it. */
  readonly admit?: (topic: string, payloadBytes: number) => boolean;
  /** Every message of a device that could be read, after the roster has taken it. */
  readonly onMessage?: (message: FleetMessage, arrival: Arrival) => void;
  /** Rows that have changed or are gone. */
  readonly onChanged?: (deviceIds: readonly string[]) => void;
  /** Called on every connection, before anything is read; must not throw. */
  readonly onConnected?: (connection: BrokerConnection) => void;
  /** Called after every complete look at what the broker keeps. */
  readonly onReconciled?: (reading: Reading) => void;
  readonly reconcileMs?: number;
  readonly quietMs?: number;
  readonly log: {
    readonly info: (fields: object, message: string) => void;
    readonly warn: (fields: object, message: string) => void;
  };
  readonly now?: () => number;
}

/** What a look at everything that the broker keeps came to. */
export interface Reading {
  readonly devices: number;
  readonly seconds: number;
  readonly complete: boolean;
}

export interface FleetLink {
  readonly roster: Roster;
  readonly connected: () => boolean;
  /** Whether the roster holds every device that the broker knows. */
  readonly complete: () => boolean;
  /** Messages of devices that could not be read. */
  readonly unreadable: () => number;
  /** Messages of devices that sent so many that only the newest counted. */
  readonly overtaken: () => number;
  /** Publishes and waits for the acknowledgement. Throws ReportError. */
  readonly publish: (message: OutgoingMessage) => Promise<void>;
  /** What is kept at exactly these topics. Throws ReportError. */
  readonly readRetained: (topics: readonly string[]) => Promise<ReadonlyMap<string, Buffer>>;
  /** Looks at everything that the broker keeps; one look at a time. Throws ReportError. */
  readonly reconcile: () => Promise<Reading>;
  /** Publishes a last message, if given, and says goodbye. */
  readonly stop: (farewell?: OutgoingMessage) => Promise<void>;
}

const BACKOFF: BackoffLimits = { minMs: 500, maxMs: 30_000 };
const RECONCILE_MS = 900_000;
const RECONCILE_AGAIN_MS = 10_000;
const TICK_MS = 5000;
const GOODBYE_MS = 1500;
/** 3.1.1 cannot subscribe without what is retained: it comes first, as far as it comes. */
const SETTLE_MS = 1000;

const LIVE_KINDS = [
  'status',
  'card',
  'reportedTwin',
  'execution',
  'telemetry',
  'revocation',
] as const;

/**
 * Follows a fleet: what devices say from now on over one connection, and what the broker keeps of them
 * over another, read piece by piece, on every connection and now and then. Starts at once; never throws.
 */
export function startFleetLink(options: FleetLinkOptions): FleetLink {
  const { log, now = Date.now } = options;
  const roster = new Roster();
  const stopping = new AbortController();
  const told = (ids: readonly string[]) => {
    if (ids.length > 0) options.onChanged?.(ids);
  };
  let live: BrokerConnection | null = null;
  let isComplete = false;
  let unreadable = 0;
  let reading: Promise<Reading> | null = null;
  const known = new Map<string, string>();

  const take = (packet: IPublishPacket, readMs?: number): void => {
    const message = readFleetMessage(packet.topic, Buffer.from(packet.payload));
    if (message === null) {
      unreadable += 1;
      return;
    }
    const times = { nowMs: now(), steadyMs: performance.now() };
    const arrival = readMs === undefined ? times : { ...times, readMs };
    if (roster.apply(message, arrival)) told([message.deviceId]);
    options.onMessage?.(message, arrival);
  };

  const takeLive = (packet: IPublishPacket) => take(packet, packet.retain ? 0 : undefined);
  const pace = new Pace(takeLive);

  const openReader = (onMessage: (packet: IPublishPacket) => void, name: string) => {
    const { broker, clientId, timeoutMs, protocols, quietMs } = options;
    return RetainedReader.open({
      broker,
      connect: {
        clientId: `${clientId}-${name}`,
        timeoutMs,
        signal: stopping.signal,
        ...(protocols === undefined ? {} : { protocols }),
      },
      onMessage,
      known,
      ...(quietMs === undefined ? {} : { quietMs }),
    });
  };

  const readEverything = async (): Promise<Reading> => {
    const startMs = performance.now();
    let readMs = startMs;
    const reader = await openReader((packet) => take(packet, readMs), 'reader');
    try {
      const { cut } = await reader.readCards();
      readMs = performance.now();
      const idsOf = () => [...roster.rows()].map(({ deviceId }) => deviceId);
      if (!(await reader.readTopics([topicFilter('revocation')]))) {
        await reader.readTopics(idsOf().map((device) => topicFor('revocation', { device })));
      }
      await reader.readTopics(idsOf().flatMap(topicsOf));
      told(roster.forget(startMs));
      for (const shard of cut) {
        log.warn({ shard }, 'more cards than the broker queues (mosquitto: max_queued_messages)');
      }
      isComplete = cut.length === 0 && roster.left === 0;
      const seconds = (performance.now() - startMs) / 1000;
      return { devices: roster.size, seconds, complete: isComplete };
    } finally {
      await reader.close();
    }
  };
  const reconcile = (): Promise<Reading> => {
    reading ??= readEverything().finally(() => {
      reading = null;
    });
    return reading;
  };

  /** Looks now, again soon after a failure, and then now and then, while the connection lasts. */
  const keepReconciled = async (connection: BrokerConnection): Promise<void> => {
    if (connection.protocol === 4) await pause(SETTLE_MS, stopping.signal);
    const isLive = () => live === connection;
    while (isLive()) {
      /* oxlint-disable no-await-in-loop -- one look after the other */
      const ok = await reconcile().catch((error: unknown) => {
        if (isLive()) log.warn({ why: messageOf(error) }, 'the fleet is not read yet');
        return null;
      });
      if (ok !== null) options.onReconciled?.(ok);
      const waitMs = ok === null ? RECONCILE_AGAIN_MS : (options.reconcileMs ?? RECONCILE_MS);
      await Promise.race([pause(waitMs, stopping.signal), connection.ended]);
      /* oxlint-enable no-await-in-loop */
    }
  };

  /** One connection from its CONNECT to its end. */
  const liveOnce = async (): Promise<void> => {
    const connection = await connectLive(options, stopping.signal, (packet) => {
      const parsed = parseTopic(packet.topic);
      if (!isForRoster(parsed?.kind)) options.onOther?.(packet);
      else if (options.admit?.(packet.topic, packet.payload.length) === false) return;
      // The newest of telemetry does not stand for those before it; a revocation is an operator's.
      else if (parsed?.kind === 'telemetry' || parsed?.kind === 'revocation') takeLive(packet);
      else pace.take(parsed?.ids['device'] ?? '', packet);
    });
    try {
      await subscribeLive(connection, options);
      live = connection;
      log.info({ protocol: connection.protocol }, 'follows the fleet');
      options.onConnected?.(connection);
      void keepReconciled(connection);
      const { why } = await connection.ended;
      if (!stopping.signal.aborted) log.warn({ why }, 'the connection is lost');
    } finally {
      live = null;
      isComplete = false;
      await connection.close();
    }
  };

  const loop = async (): Promise<void> => {
    // By then whoever starts it has it, and may use it in what it is called back with.
    await Promise.resolve();
    let attempt = 0;
    while (!stopping.signal.aborted) {
      /* oxlint-disable no-await-in-loop -- one connection after the other */
      const good = await liveOnce().then(
        () => true,
        (error: unknown) => {
          if (!stopping.signal.aborted) log.warn({ why: messageOf(error) }, 'not connected');
          return false;
        },
      );
      attempt = good ? 0 : attempt + 1;
      const waitMs = backoffMs(Math.max(0, attempt - 1), options.backoff ?? BACKOFF, Math.random());
      await pause(waitMs, stopping.signal);
      /* oxlint-enable no-await-in-loop */
    }
  };
  const ended = loop();
  const ticking = setInterval(() => told(roster.tick(now())), TICK_MS);

  const publish = async (message: OutgoingMessage): Promise<void> => {
    if (live === null) throw new ReportError('UNREACHABLE', 'there is no connection to the broker');
    await live.publish(message);
  };
  let readers = 0;
  return {
    roster,
    connected: () => live !== null,
    complete: () => isComplete,
    unreadable: () => unreadable,
    overtaken: () => pace.left,
    publish,
    reconcile,
    readRetained: async (topics) => {
      const found = new Map<string, Buffer>();
      readers += 1;
      const reader = await openReader(
        ({ topic, payload }) => found.set(topic, Buffer.from(payload)),
        `reader-${readers}`,
      );
      try {
        await reader.readTopics(topics);
      } finally {
        await reader.close();
      }
      return found;
    },
    stop: async (farewell) => {
      clearInterval(ticking);
      pace.stop();
      if (farewell !== undefined && live !== null) {
        const goodbye = publish(farewell).catch(() => undefined);
        await Promise.race([goodbye, sleep(GOODBYE_MS, undefined, { ref: false })]);
      }
      stopping.abort();
      await ended;
    },
  };
}

function isForRoster(kind: string | undefined): boolean {
  return kind !== undefined && LIVE_KINDS.some((one) => one === kind);
}

function connectLive(
  { broker, clientId, timeoutMs, protocols, will }: FleetLinkOptions,
  signal: AbortSignal,
  onMessage: (packet: IPublishPacket) => void,
): Promise<BrokerConnection> {
  return connectBroker(broker, {
    clientId,
    timeoutMs,
    signal,
    onMessage,
    ...(protocols === undefined ? {} : { protocols }),
    ...(will === undefined ? {} : { will: will() }),
  });
}

async function subscribeLive(
  connection: BrokerConnection,
  { filters = [], mustRead = false, log }: FleetLinkOptions,
): Promise<void> {
  const all = [...LIVE_KINDS.map((kind) => topicFilter(kind)), ...filters];
  const granted = await connection.subscribe(all, { withRetained: false });
  for (const [index, filter] of all.entries()) {
    if (granted[index] === true) continue;
    if (mustRead) {
      const text = `the broker does not let this user read ${filter}`;
      throw new ReportError('NOT_AUTHORIZED', `${text}: ask for it in the ACL (agent fleet acl)`);
    }
    log.warn({ filter }, 'the broker does not let this user read it');
  }
}

function topicsOf(device: string): readonly string[] {
  return [topicFor('status', { device }), topicFor('reportedTwin', { device })];
}

/** Where the card of a device is kept. */
export function cardTopic(device: string): string {
  return topicFor('card', { device, shard: cardShard(device) });
}

/** Ends early, without an error, when the signal is aborted. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
