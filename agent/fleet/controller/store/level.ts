import { join } from 'node:path';
import { codeOf, messageOf } from '../../../util/errors.ts';
import { makeFolder } from '../../../util/files.ts';
import { levelCause } from '../../../util/level.ts';
import { StoreError } from '../error.ts';
import type { Batch, Candidate, Entry, Store } from './store.ts';

const EPOCH = 'epoch';
const SYNC = { sync: true };
const FILES = { cacheSize: 4 * 1024 * 1024, writeBufferSize: 4 * 1024 * 1024 };

/**
 * The embedded store: LevelDB in the state folder. It belongs to one process, which therefore leads.
 * Throws StoreError IN_USE when another has it open, DAMAGED when it cannot be read: guessing would
 * hand out jobs twice.
 */
export async function openLevelStore(state: string): Promise<Store> {
  const { ClassicLevel } = await import('classic-level');
  await makeFolder(state);
  const folder = join(state, 'controller');
  const database = new ClassicLevel(folder, FILES);
  try {
    await database.open();
  } catch (error) {
    const cause = levelCause(error);
    if (codeOf(cause) === 'LEVEL_LOCKED') {
      throw new StoreError('IN_USE', `${folder} is in use by another controller`, error);
    }
    throw new StoreError('DAMAGED', `${folder} cannot be opened: ${messageOf(cause)}`, error);
  }
  let current = Number((await database.get(EPOCH)) ?? '0');
  return {
    leaseMs: Number.POSITIVE_INFINITY,
    lead: async ({ minEpoch }: Candidate) => {
      current = Math.max(current + 1, minEpoch);
      await database.put(EPOCH, String(current), SYNC);
      return current;
    },
    renew: async (epoch) => epoch === current,
    resign: async () => undefined,
    get: async (key) => (await database.get(`k/${key}`)) ?? null,
    scan: async function* scan(prefix: string): AsyncIterable<Entry> {
      const range = { gte: `k/${prefix}`, lt: `k/${prefix}\uffff` };
      for await (const [key, value] of database.iterator(range)) yield [key.slice(2), value];
    },
    write: async (epoch: number, { put, remove }: Batch) => {
      if (epoch !== current) throw new StoreError('FENCED', `epoch ${epoch} is over`);
      await database.batch(
        [
          ...put.map(([key, value]) => ({ type: 'put' as const, key: `k/${key}`, value })),
          ...remove.map((key) => ({ type: 'del' as const, key: `k/${key}` })),
        ],
        SYNC,
      );
    },
    close: () => database.close(),
  };
}
