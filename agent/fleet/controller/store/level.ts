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
  const from = <T>(what: Work, work: () => Promise<T>) => told(folder, what, work);
  let current = Number((await from('read', () => database.get(EPOCH))) ?? '0');
  return {
    leaseMs: Number.POSITIVE_INFINITY,
    keepsPast: false,
    lead: async ({ minEpoch }: Candidate) => {
      current = Math.max(current + 1, minEpoch);
      await from('written', () => database.put(EPOCH, String(current), SYNC));
      return current;
    },
    renew: async (epoch) => epoch === current,
    resign: async () => undefined,
    get: async (key) => (await from('read', () => database.get(`k/${key}`))) ?? null,
    scan: async function* scan(prefix: string): AsyncIterable<Entry> {
      const range = { gte: `k/${prefix}`, lt: `k/${prefix}\uffff` };
      const entries = database.iterator(range);
      try {
        for (;;) {
          // oxlint-disable-next-line no-await-in-loop -- one entry after the other
          const next = await from('read', () => entries.next());
          if (next === undefined) return;
          yield [next[0].slice(2), next[1]];
        }
      } finally {
        await entries.close();
      }
    },
    write: async (epoch: number, { put, remove }: Batch) => {
      if (epoch !== current) throw new StoreError('FENCED', `epoch ${epoch} is over`);
      const operations = [
        ...put.map(([key, value]) => ({ type: 'put' as const, key: `k/${key}`, value })),
        ...remove.map((key) => ({ type: 'del' as const, key: `k/${key}` })),
      ];
      await from('written', () => database.batch(operations, SYNC));
    },
    close: () => from('closed', () => database.close()),
  };
}

type Work = 'read' | 'written' | 'closed';

/** What the library throws says neither where nor what to do: a full disk, or files that are damaged. */
async function told<T>(folder: string, what: Work, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const cause = levelCause(error);
    const code = codeOf(cause) === 'LEVEL_CORRUPTION' ? 'DAMAGED' : 'UNAVAILABLE';
    throw new StoreError(code, `${folder} cannot be ${what}: ${messageOf(cause)}`, error);
  }
}
