import { setTimeout as sleep } from 'node:timers/promises';
import type { IPublishPacket } from 'mqtt';
import { messageOf } from '../../util/errors.ts';
import { connectBroker } from '../broker-connection.ts';
import type { BrokerConnection } from '../broker-connection.ts';
import type { BrokerSettings, ProtocolVersion } from '../broker-link.ts';
import type { OutgoingMessage } from '../protocol/outgoing.ts';
import { offlineMessage, onlineMessage, willMessage } from '../protocol/presence.ts';
import type { SessionFacts } from '../protocol/presence.ts';
import { backoffMs } from './backoff.ts';
import type { BackoffLimits } from './backoff.ts';

/** What a session tells about itself; the composition root writes it to the log. */
export interface SessionLog {
  readonly info: (fields: object, message: string) => void;
  readonly warn: (fields: object, message: string) => void;
}

export interface SessionOptions {
  readonly broker: BrokerSettings;
  /** Reads them anew before every connection: certificates run out, passwords change. */
  readonly renewBroker?: () => Promise<BrokerSettings>;
  readonly deviceId: string;
  readonly agent: string;
  readonly bootId: string | null;
  readonly protocols: readonly ProtocolVersion[];
  readonly keepAliveSeconds: number;
  readonly expirySeconds: number;
  readonly timeoutMs: number;
  readonly backoff: BackoffLimits;
  /** Default: a minute. */
  readonly refreshMs?: number;
  readonly nextSession: () => Promise<number>;
  /** Subscribed to on every connection; `optional` ones may be forbidden by an ACL. */
  readonly filters: readonly string[];
  readonly optionalFilters: readonly string[];
  /** Published on every connection, after the status: birth, twin, records of open jobs. */
  readonly retained: (session: number) => AsyncIterable<OutgoingMessage>;
  readonly onMessage: (packet: IPublishPacket) => void;
  /** Called when the connection is ready for traffic; it must not throw. */
  readonly onOnline: (connection: BrokerConnection) => void;
  readonly log: SessionLog;
  /** In [0, 1); default: Math.random. */
  readonly random?: () => number;
}

export interface DeviceSession {
  readonly online: () => boolean;
  /** Connections that stood until now. */
  readonly connects: () => number;
  readonly sessionNumber: () => number | null;
  /** Publishes the status again, e.g. because a will of an older connection came late. */
  readonly refreshStatus: () => void;
  /** Publishes the retained documents again; a failure goes to the log. */
  readonly republish: () => Promise<void>;
  /** Publishes one message, if there is a connection; a failure goes to the log. */
  readonly publish: (message: OutgoingMessage) => Promise<void>;
  /** Says goodbye. Resolves when the socket is closed. */
  readonly stop: () => Promise<void>;
}

const REFRESH_MS = 60_000;
/** Who stops a daemon does not wait for a broker that is silent. */
const GOODBYE_MS = 1500;
/** MQTT 5: somebody else has connected with our client id. */
const SESSION_TAKEN_OVER = 142;

/**
 * Keeps a device connected: a persistent session with a will, presence, retained documents, and
 * waits between attempts. Starts at once; never throws.
 */
export function startSession(options: SessionOptions): DeviceSession {
  const { deviceId, agent, bootId, log } = options;
  const stopping = new AbortController();
  let live: { connection: BrokerConnection; facts: SessionFacts } | null = null;
  let connects = 0;
  let { broker } = options;

  const announce = async (connection: BrokerConnection, facts: SessionFacts) => {
    try {
      // One after the other, in the order in which readers need them.
      for await (const message of options.retained(facts.session)) {
        await publishOrWarn(connection, message, log);
      }
    } catch (error) {
      log.warn({ why: messageOf(error) }, 'not everything was announced');
    }
  };

  const renewed = async (): Promise<BrokerSettings> => {
    const { renewBroker = async () => broker } = options;
    return renewBroker().catch((error: unknown) => {
      log.warn({ why: messageOf(error) }, 'connecting as before');
      return broker;
    });
  };

  /** One connection from its CONNECT to its end. True when it was a good one. */
  const liveOnce = async (): Promise<boolean> => {
    const session = await options.nextSession();
    const facts: SessionFacts = { deviceId, session, bootId, since: new Date(), agent };
    broker = await renewed();
    const connection = await connect({ ...options, broker }, facts, stopping.signal);
    let timer: NodeJS.Timeout | undefined;
    // What the broker has kept for this session comes before anything is published, and is answered.
    live = { connection, facts };
    try {
      // Presence first: it is what people wait for.
      await connection.publish(onlineMessage(facts, new Date()));
      connects += 1;
      await subscribeAll(connection, options);
      log.info({ session, protocol: connection.protocol }, 'online');
      options.onOnline(connection);
      void announce(connection, facts);
      timer = setInterval(refreshStatus, options.refreshMs ?? REFRESH_MS);
      const { reason, why } = await connection.ended;
      if (stopping.signal.aborted) return true;
      log.warn({ session, reason, why }, 'the connection is lost');
      if (reason === SESSION_TAKEN_OVER) {
        log.warn({ deviceId }, 'another client has connected with this device id: is it a copy?');
      }
      return reason !== SESSION_TAKEN_OVER;
    } finally {
      clearInterval(timer);
      live = null;
      await connection.close();
    }
  };

  const refreshStatus = () => {
    if (live === null) return;
    const { connection, facts } = live;
    void publishOrWarn(connection, onlineMessage(facts, new Date()), log);
  };

  const loop = async () => {
    let attempt = 0;
    while (!stopping.signal.aborted) {
      /* oxlint-disable no-await-in-loop -- one connection after the other */
      const good = await liveOnce().catch((error: unknown) => {
        if (!stopping.signal.aborted) log.warn({ why: messageOf(error), attempt }, 'not connected');
        return false;
      });
      if (stopping.signal.aborted) return;
      attempt = good ? 0 : attempt + 1;
      const waitMs = backoffMs(
        Math.max(0, attempt - 1),
        options.backoff,
        (options.random ?? Math.random)(),
      );
      // Aborted when the daemon stops: the loop sees it.
      await sleep(waitMs, undefined, { signal: stopping.signal }).catch(() => undefined);
      /* oxlint-enable no-await-in-loop */
    }
  };
  const ended = loop();

  return {
    online: () => live !== null,
    connects: () => connects,
    sessionNumber: () => live?.facts.session ?? null,
    refreshStatus,
    republish: async () => {
      if (live !== null) await announce(live.connection, live.facts);
    },
    publish: async (message) => {
      if (live !== null) await publishOrWarn(live.connection, message, log);
    },
    stop: async () => {
      if (live !== null) {
        const { connection, facts } = live;
        // From here on nothing says `online` again.
        live = null;
        const goodbye = publishOrWarn(connection, offlineMessage(facts, new Date()), log);
        await Promise.race([goodbye, sleep(GOODBYE_MS, undefined, { ref: false })]);
      }
      stopping.abort();
      await ended;
    },
  };
}

function connect(
  options: SessionOptions,
  facts: SessionFacts,
  signal: AbortSignal,
): Promise<BrokerConnection> {
  const { broker, deviceId, timeoutMs, protocols, keepAliveSeconds, expirySeconds } = options;
  return connectBroker(broker, {
    clientId: deviceId,
    timeoutMs,
    signal,
    protocols,
    session: {
      keepAliveSeconds,
      expirySeconds,
      will: willMessage(facts),
      onMessage: options.onMessage,
    },
  });
}

async function subscribeAll(connection: BrokerConnection, options: SessionOptions): Promise<void> {
  const { filters, optionalFilters, log } = options;
  const granted = await connection.subscribe([...filters, ...optionalFilters]);
  for (const [index, filter] of filters.entries()) {
    if (granted[index] !== true)
      log.warn({ filter }, 'the broker does not let this device read it');
  }
}

/** A document that the broker refuses must not end the connection; one that is lost ends by itself. */
async function publishOrWarn(
  connection: BrokerConnection,
  message: OutgoingMessage,
  log: SessionLog,
): Promise<void> {
  try {
    await connection.publish(message);
  } catch (error) {
    log.warn({ topic: message.topic, why: messageOf(error) }, 'not published');
  }
}
