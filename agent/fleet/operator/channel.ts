import { randomBytes } from 'node:crypto';
import { connectBroker, type BrokerConnection } from '../broker-connection.ts';
import type { BrokerSettings, ProtocolVersion } from '../broker-link.ts';
import type { OutgoingMessage } from '../protocol/outgoing.ts';
import { OperatorError } from './error.ts';

/** One message as it arrived. */
export interface Arrival {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retain: boolean;
}

/**
 * A way to publish and to listen. Whoever has a connection of his own (a server that reconnects) hands
 * in this much of it; a command opens one with `openChannel`.
 */
export interface OperatorChannel {
  /** Names the client in topics of answers. */
  readonly operatorId: string;
  /** Published at QoS 1 and acknowledged. Throws ReportError. */
  readonly publish: (message: OutgoingMessage) => Promise<void>;
  /**
   * Subscribes and calls `onArrival` for what matches, retained messages first. Resolves when the
   * broker has granted it; the function returned stops. Throws OperatorError when it is not granted.
   */
  readonly listen: (
    filters: readonly string[],
    onArrival: (arrival: Arrival) => void,
  ) => Promise<() => void>;
  /** Rejects when the connection is over; never resolves. */
  readonly lost: Promise<never>;
}

export interface ClosableChannel extends OperatorChannel {
  readonly close: () => Promise<void>;
}

export interface ChannelOptions {
  readonly broker: BrokerSettings;
  /** Default: `operator`. */
  readonly operatorId?: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly protocols?: readonly ProtocolVersion[];
}

interface Listener {
  readonly filters: readonly (readonly string[])[];
  readonly onArrival: (arrival: Arrival) => void;
}

/** Connects for as long as a command runs. Throws ReportError. */
export async function openChannel(options: ChannelOptions): Promise<ClosableChannel> {
  const { broker, timeoutMs, signal, protocols, operatorId = 'operator' } = options;
  const listeners = new Set<Listener>();
  const connection = await connectBroker(broker, {
    // One of its own: the same operator may have several windows open.
    clientId: `${operatorId}-${randomBytes(4).toString('hex')}`,
    timeoutMs,
    signal,
    ...(protocols === undefined ? {} : { protocols }),
    onMessage: ({ topic, payload, retain }) => {
      const arrival = { topic, payload: Buffer.from(payload), retain };
      const levels = topic.split('/');
      for (const { filters, onArrival } of listeners) {
        if (filters.some((filter) => matches(filter, levels))) onArrival(arrival);
      }
    },
  });
  const lost = connection.ended.then(({ why }): never => {
    throw new OperatorError('LOST', `the connection to ${broker.address.display} is lost: ${why}`);
  });
  // Whoever waits learns of it; nobody has to.
  lost.catch(() => undefined);
  return {
    operatorId,
    publish: connection.publish,
    listen: (filters, onArrival) => listen(connection, listeners, filters, onArrival),
    lost,
    close: connection.close,
  };
}

async function listen(
  connection: BrokerConnection,
  listeners: Set<Listener>,
  filters: readonly string[],
  onArrival: Listener['onArrival'],
): Promise<() => void> {
  const listener = { filters: filters.map((filter) => filter.split('/')), onArrival };
  // Before the subscription: retained messages come together with its acknowledgement.
  listeners.add(listener);
  const granted = await connection.subscribe(filters);
  const at = granted.indexOf(false);
  if (at !== -1) {
    listeners.delete(listener);
    const fix = 'ask for it in the ACL (agent fleet acl --operators USER)';
    throw new OperatorError('NO_ACCESS', `the broker does not let you read ${filters[at]}: ${fix}`);
  }
  return () => {
    listeners.delete(listener);
  };
}

/** Whether a topic matches a filter (MQTT 5, section 4.7), both as levels. */
export function matches(filter: readonly string[], levels: readonly string[]): boolean {
  for (const [at, wanted] of filter.entries()) {
    if (wanted === '#') return true;
    if (at >= levels.length || (wanted !== '+' && wanted !== levels[at])) return false;
  }
  return filter.length === levels.length;
}
