import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../util/errors.ts';
import type { BrokerConnection } from '../broker-connection.ts';
import { OutboxQueue } from './queue.ts';
import type { Priority, QueueLimits } from './queue.ts';
import { sendAll } from './send.ts';
import { hasOutbox, openStore } from './store.ts';
import type { OutboxStore, StoredMessage } from './store.ts';

/** A document on its way to the broker, at QoS 1. */
export interface OutboxMessage {
  readonly topic: string;
  readonly retain: boolean;
  readonly schema: string;
  readonly priority: Priority;
  readonly document: Readonly<Record<string, unknown>>;
}

export interface OutboxStats {
  readonly messages: number;
  readonly bytes: number;
  /** Given up because the outbox was full, since it was made. */
  readonly dropped: number;
  /** Given up because the broker will never take them, since the start. */
  readonly refused: number;
  /** Acknowledged, since the start. */
  readonly sent: number;
}

export interface Outbox {
  /**
   * Resolves with the id when the message is on the disk: from then on it is not lost, unless the
   * outbox is full. Throws what the disk throws.
   */
  readonly add: (message: OutboxMessage) => Promise<string>;
  /** Sends what waits and what comes, until this connection ends. */
  readonly online: (connection: BrokerConnection) => void;
  readonly stats: () => OutboxStats;
  readonly close: () => Promise<void>;
}

export interface OutboxOptions {
  readonly state: string;
  readonly limits: QueueLimits;
  readonly warn: (message: string) => void;
  readonly now?: () => Date;
}

/** Looked at together; a broker may allow fewer on the way. */
const WINDOW = 16;
/** A broker whose quota is used up, or a disk that fails, is tried again after this. */
const RETRY_MS = 5000;

/**
 * Messages that must not be lost. Each is written to the disk, sent in order, and removed when the
 * broker has acknowledged it; what a lost connection leaves in doubt is sent again under the same
 * id. The database is loaded with the first message, or when an earlier run has left some.
 */
export function openOutbox({ state, limits, warn, now = () => new Date() }: OutboxOptions): Outbox {
  const queue = new OutboxQueue(limits);
  const counts = { dropped: 0, refused: 0, sent: 0 };
  let store: Promise<OutboxStore> | null = null;
  let seq = 0;
  /** What was stored before the connection stood is a replay on it. */
  let firstLive = 1;
  let current: BrokerConnection | null = null;
  let pumping = false;
  let lastWrite: Promise<unknown> = Promise.resolve();
  let lastPump: Promise<void> = Promise.resolve();
  const closing = new AbortController();

  const load = async (): Promise<OutboxStore> => {
    const opened = await openStore(state, warn);
    ({ seq, dropped: counts.dropped } = opened.meta);
    try {
      for await (const entry of opened.entries()) {
        queue.add(entry);
        // The numbers may be lost where the messages are not: nothing is written over.
        seq = Math.max(seq, entry.seq);
      }
    } catch (error) {
      // Or the next try would find it locked.
      await opened.close();
      throw error;
    }
    firstLive = seq + 1;
    return opened;
  };
  const open = (): Promise<OutboxStore> => {
    store ??= load().catch((error: unknown) => {
      // The next one tries again: a full disk may have room then.
      store = null;
      throw error;
    });
    return store;
  };

  const write = async (message: OutboxMessage): Promise<string> => {
    const opened = await open();
    const { topic, retain, schema, priority, document } = message;
    const id = randomBytes(9).toString('base64url');
    const ts = now().toISOString();
    const stored: StoredMessage = { id, ts, topic, retain, schema, priority, document };
    const text = JSON.stringify(stored);
    const entry = { seq: seq + 1, bytes: Buffer.byteLength(text), priority };
    const victims = queue.victimsOf(entry);
    const meta = { seq: entry.seq, dropped: counts.dropped + victims.length };
    await opened.put(entry.seq, text, meta, victims);
    ({ seq, dropped: counts.dropped } = meta);
    queue.add(entry);
    queue.remove(victims);
    return id;
  };

  const pump = async (): Promise<void> => {
    const opened = await open();
    for (;;) {
      const connection = current;
      const seqs = queue.first(Math.min(WINDOW, connection?.receiveMaximum ?? 0));
      if (connection === null || seqs.length === 0) return;
      // oxlint-disable-next-line no-await-in-loop -- one window after the other, in order
      const { done, refused, ending } = await sendAll(opened, connection, seqs, firstLive);
      queue.remove(done);
      counts.refused += refused.length;
      counts.sent += done.length - refused.length;
      for (const why of refused) warn(`given up: ${why}`);
      if (ending === 'quota') {
        // oxlint-disable-next-line no-await-in-loop -- asked again later, in the same order
        await sleep(RETRY_MS, undefined, { ref: false, signal: closing.signal }).catch(
          () => undefined,
        );
      } else if (ending === 'lost') {
        if (current === connection) current = null;
        // Silent rather than closed, perhaps: a new connection is the way on.
        void connection.close();
      }
    }
  };
  /** Starts to send unless that is going on: then it sees by itself what has come. */
  const kick = (): void => {
    if (pumping || current === null) return;
    pumping = true;
    lastPump = pump()
      .catch((error: unknown) => {
        warn(`the outbox stands still: ${messageOf(error)}`);
        setTimeout(kick, RETRY_MS).unref();
        return 'failed' as const;
      })
      .then((failed) => {
        pumping = false;
        // What came between the last look and here.
        if (failed === undefined && current !== null && queue.messages > 0) kick();
      });
  };

  return {
    add: async (message) => {
      const written = lastWrite.then(() => write(message));
      lastWrite = written.catch(() => undefined);
      const id = await written;
      kick();
      return id;
    },
    online: (connection) => {
      current = connection;
      firstLive = seq + 1;
      void connection.ended.then(() => {
        if (current === connection) current = null;
      });
      if (store !== null || hasOutbox(state)) kick();
    },
    stats: () => ({ messages: queue.messages, bytes: queue.bytes, ...counts }),
    close: async () => {
      current = null;
      // Nobody who stops waits for a broker's quota.
      closing.abort();
      await lastWrite;
      await lastPump;
      if (store !== null) await (await store).close();
    },
  };
}
