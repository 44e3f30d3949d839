import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { makeFolder } from '../../util/files.ts';
import { openMending } from '../../util/level.ts';
import { ReportError } from '../report-error.ts';
import { priorities } from './queue.ts';
import type { QueueEntry } from './queue.ts';

const storedSchema = z.object({
  id: z.string(),
  ts: z.string(),
  topic: z.string(),
  retain: z.boolean(),
  schema: z.string(),
  priority: z.enum(priorities),
  document: z.record(z.string(), z.unknown()),
});

export type StoredMessage = z.infer<typeof storedSchema>;

const metaSchema = z.object({ seq: z.int().nonnegative(), dropped: z.int().nonnegative() });
export type OutboxMeta = z.infer<typeof metaSchema>;

/** The database behind an outbox. Every write is synced before it resolves. */
export interface OutboxStore {
  readonly meta: OutboxMeta;
  /** Every message, in order; damaged ones are removed. */
  readonly entries: () => AsyncIterable<QueueEntry>;
  readonly get: (seq: number) => Promise<StoredMessage | null>;
  /** In one atomic write: a new message, the numbers, and what is given up for it. */
  readonly put: (
    seq: number,
    text: string,
    meta: OutboxMeta,
    drop: readonly number[],
  ) => Promise<void>;
  /** Not synced: what comes back after a power cut is sent again under the same id. */
  readonly remove: (seqs: readonly number[]) => Promise<void>;
  readonly close: () => Promise<void>;
}

const META = 'meta';
const keyOf = (seq: number): string => `m:${String(seq).padStart(16, '0')}`;
const SYNC = { sync: true };

export function outboxFolder(state: string): string {
  return join(state, 'outbox');
}

/** Whether an earlier run has left an outbox; without one the database need not be loaded. */
export function hasOutbox(state: string): boolean {
  return existsSync(outboxFolder(state));
}

function parse(text: string): StoredMessage | null {
  try {
    return storedSchema.parse(JSON.parse(text));
  } catch {
    // A damaged record is passed over; the caller removes it.
    return null;
  }
}

/** The numbers; a damaged record is none, and the messages themselves say where the count stands. */
function readMeta(text: string | undefined): OutboxMeta {
  try {
    return metaSchema.parse(JSON.parse(text ?? ''));
  } catch {
    return { seq: 0, dropped: 0 };
  }
}

/** Small: the default block cache and write buffer are meant for servers. */
const FILES = { cacheSize: 256 * 1024, writeBufferSize: 512 * 1024 };

/** Loads the database library. Throws ReportError REFUSED when another process has it open. */
export async function openStore(
  state: string,
  warn: (message: string) => void,
): Promise<OutboxStore> {
  await makeFolder(state);
  const folder = outboxFolder(state);
  const database = await openMending({
    folder,
    open: async (Level) => {
      const level = new Level(folder, FILES);
      await level.open();
      return level;
    },
    inUse: (cause) => {
      const why = `${folder} is in use: is another agent run at work on it?`;
      return new ReportError('REFUSED', why, cause);
    },
    warn,
  });
  const meta = readMeta(await database.get(META));
  return {
    meta,
    entries: async function* entries() {
      for await (const [key, text] of database.iterator({ gte: 'm:', lt: 'm;' })) {
        const message = parse(text);
        const seq = Number(key.slice(2));
        if (message === null) await database.del(key);
        else yield { seq, bytes: Buffer.byteLength(text), priority: message.priority };
      }
    },
    get: async (seq) => {
      const text = await database.get(keyOf(seq));
      return text === undefined ? null : parse(text);
    },
    put: async (seq, text, next, drop) => {
      await database.batch(
        [
          { type: 'put', key: META, value: JSON.stringify(next) },
          ...(drop.includes(seq) ? [] : [{ type: 'put' as const, key: keyOf(seq), value: text }]),
          ...drop.map((one) => ({ type: 'del' as const, key: keyOf(one) })),
        ],
        SYNC,
      );
    },
    remove: async (seqs) => {
      await database.batch(seqs.map((seq) => ({ type: 'del' as const, key: keyOf(seq) })));
    },
    close: () => database.close(),
  };
}
