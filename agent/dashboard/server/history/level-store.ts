import { makeFolder } from '../../../util/files.ts';
import { openMending } from '../../../util/level.ts';
import { DashboardError } from '../error.ts';
import type { HistoryStore } from '../ports.ts';
import { unreadableCounter } from './documents.ts';
import { LevelDocuments } from './level-documents.ts';
import { LevelValues, type ValueLimits } from './level-values.ts';
import { Names, type Database } from './names.ts';

export interface LevelOptions extends ValueLimits {
  readonly folder: string;
  readonly nowMs: () => number;
  readonly warn: (message: string) => void;
}

const OPTIONS = {
  keyEncoding: 'buffer',
  valueEncoding: 'buffer',
  cacheSize: 8 * 1024 * 1024,
  writeBufferSize: 4 * 1024 * 1024,
} as const;

/** Reports may take this share of the room; a fleet that benches daily fills it in months. */
const BENCH_SHARE = 0.25;

/** The embedded history. Throws DashboardError STORE when somebody else has it open. */
export async function openLevelStore(options: LevelOptions): Promise<HistoryStore> {
  const { folder, nowMs, warn } = options;
  await makeFolder(folder);
  const db = await openMending<Database>({
    folder,
    open: async (Level) => {
      const level = new Level<Buffer, Buffer>(folder, OPTIONS);
      await level.open();
      return level;
    },
    inUse: (cause) => {
      const why = `${folder} is in use: is another dashboard at work on it?`;
      return new DashboardError('STORE', why, { cause, kind: 'failure' });
    },
    warn,
  });
  const names = await Names.load(db);
  const limits = { ...options, rawMs: Math.min(options.rawMs, options.keepMs) };
  const values = new LevelValues(db, names, limits);
  const maxBytes = options.maxBytes * BENCH_SHARE;
  const documents = new LevelDocuments(db, names, maxBytes, unreadableCounter(warn));
  return {
    write: async ({ samples, jobs, benches }) => {
      // oxlint-disable-next-line no-await-in-loop -- each looks at what is there
      for (const record of jobs) await documents.putJob(record);
      // oxlint-disable-next-line no-await-in-loop -- each looks at what is there
      for (const bench of benches) await documents.putBench(bench);
      // Last: a batch that has failed is written again, and values would then be there twice.
      const puts = samples.flatMap((sample) => values.puts(sample));
      const named = names.unsaved();
      await db.batch([...named, ...puts]);
      names.saved(named);
    },
    read: (query) => values.read(query, nowMs()),
    latest: (deviceId) => values.latest(deviceId, nowMs()),
    jobs: (deviceId) => documents.jobs(deviceId),
    benches: (deviceId) => documents.benches(deviceId),
    allBenches: (page) => documents.allBenches(page),
    bench: (deviceId, benchId) => documents.bench(deviceId, benchId),
    prune: async (now) => {
      await values.prune(now);
      await documents.prune();
    },
    close: () => db.close(),
  };
}
