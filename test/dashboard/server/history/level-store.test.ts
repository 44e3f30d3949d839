import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ClassicLevel } from 'classic-level';
import { KIND } from '../../../../agent/dashboard/server/history/keys.ts';
import { openLevelStore } from '../../../../agent/dashboard/server/history/level-store.ts';
import type {
  BenchArrival,
  HistoryStore,
  Sample,
} from '../../../../agent/dashboard/server/ports.ts';
import { benchReport } from '../support/bench-report.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Noon of a day in 2026. */
const NOON = Date.UTC(2026, 5, 10, 12);
const EMPTY = { samples: [], jobs: [], benches: [] };

const sample = (ts: number, values: Sample['values'], deviceId = 'pi-1'): Sample => {
  return { deviceId, stream: 'host', ts, values };
};

/** One a minute. */
const benchesOf = (count: number, deviceId = 'pi-1'): BenchArrival[] =>
  Array.from({ length: count }, (_, at) => {
    const report = benchReport({ p90: at + 1 });
    const { name, sha256, format } = report.model;
    const ts = new Date(NOON + at * 60_000).toISOString();
    const model = { name, sha256, format };
    const line = { deviceId, benchId: `b${at}`, ts, model, chosen: null, candidates: 1 };
    return { line, report };
  });

type Level = ClassicLevel<Buffer, Buffer>;

/** The store as it lies on the disk. */
async function withLevel(folder: string, use: (level: Level) => Promise<void>): Promise<void> {
  const encoding = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const;
  const level = new ClassicLevel<Buffer, Buffer>(folder, encoding);
  try {
    await use(level);
  } finally {
    await level.close();
  }
}

describe('the embedded history', () => {
  let folder = '';
  let now = NOON;
  let store: HistoryStore;
  const warnings: string[] = [];
  const open = (rest: { maxBytes?: number } = {}) =>
    openLevelStore({
      folder,
      rawMs: 2 * DAY,
      keepMs: 10 * DAY,
      maxBytes: 2 ** 30,
      nowMs: () => now,
      warn: (message) => warnings.push(message),
      ...rest,
    });
  const read = async (metric: string, fromMs: number, toMs: number, points = 1000) => {
    const metrics = [metric];
    const { series } = await store.read({ deviceId: 'pi-1', metrics, fromMs, toMs, points });
    return series[metric] ?? [];
  };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'edgefit-history-'));
    now = NOON;
    store = await open();
  });
  afterEach(async () => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });

  test('gives back what it was given, in order, and gaps as gaps', async () => {
    await store.write({
      ...EMPTY,
      samples: [
        sample(NOON - 1000, { celsius: 41 }),
        sample(NOON - 3000, { celsius: 40.25, load: 1 }),
        sample(NOON - 2000, { celsius: null }),
        sample(NOON - 1500, { celsius: 99 }, 'pi-2'),
      ],
    });
    expect(await read('celsius', NOON - 10_000, NOON)).toEqual([
      [NOON - 3000, 40.25, 40.25, 40.25],
      [NOON - 2000, null, null, null],
      [NOON - 1000, 41, 41, 41],
    ]);
    expect(await read('nothing', NOON - 10_000, NOON)).toEqual([]);
    expect(await store.latest('pi-1')).toEqual({
      celsius: { value: 41, ts: NOON - 1000 },
      load: { value: 1, ts: NOON - 3000 },
    });
    expect(await store.latest('pi-9')).toEqual({});
  });

  test('draws a long time in few steps: mean, smallest, largest', async () => {
    // 1 to 600, one each second.
    const samples = Array.from({ length: 600 }, (_, at) =>
      sample(NOON - 600_000 + at * 1000, { load: at + 1 }),
    );
    await store.write({ ...EMPTY, samples });
    expect(await read('load', NOON - 600_000, NOON, 10)).toHaveLength(10);
    const [first, , , , , , , , , last] = await read('load', NOON - 600_000, NOON, 10);
    // 60 values in each: 1..60 with mean 30.5, and 541..600.
    expect(first).toEqual([NOON - 600_000 + 29_500, 30.5, 1, 60]);
    expect(last?.slice(1)).toEqual([570.5, 541, 600]);
  });

  test('is there after a restart, and is open once', async () => {
    await store.write({ ...EMPTY, samples: [sample(NOON, { load: 3 })] });
    await expect(open()).rejects.toMatchObject({ code: 'STORE', kind: 'failure' });
    await store.close();
    store = await open();
    await store.write({ ...EMPTY, samples: [sample(NOON + 1, { other: 4, load: 5 })] });
    expect(await read('load', NOON - 1, NOON + 10)).toEqual([
      [NOON, 3, 3, 3],
      [NOON + 1, 5, 5, 5],
    ]);
  });

  test('keeps five minutes of mean, smallest and largest after two days, nothing after ten', async () => {
    const samples = [1, 2, 6].map((value, at) => sample(NOON + at * 60_000, { load: value }));
    await store.write({ ...EMPTY, samples: [...samples, sample(NOON + 400_000, { load: null })] });
    now = NOON + 2 * DAY;
    await store.prune(now);
    expect(await read('load', NOON, NOON + HOUR)).toHaveLength(4);
    now = NOON + 2 * DAY + HOUR;
    await store.prune(now);
    expect(await read('load', NOON, NOON + HOUR)).toEqual([
      [NOON + 150_000, 3, 1, 6],
      [NOON + 450_000, null, null, null],
    ]);
    // Rolled up once more it is the same.
    await store.prune(now);
    expect(await read('load', NOON, NOON + HOUR)).toHaveLength(2);
    now = NOON + 11 * DAY;
    await store.prune(now);
    expect(await read('load', NOON, NOON + HOUR)).toEqual([]);
  });

  test('adds what comes late to what is rolled up', async () => {
    await store.write({ ...EMPTY, samples: [sample(NOON, { load: 1, celsius: 40 })] });
    now = NOON + 2 * DAY + 2 * HOUR;
    await store.prune(now);
    await store.write({ ...EMPTY, samples: [sample(NOON + 1000, { load: 4, fan: 1 })] });
    await store.prune(now);
    await store.write({ ...EMPTY, samples: [sample(NOON + 2000, { load: null })] });
    await store.prune(now);
    const at = NOON + 150_000;
    expect(await read('load', NOON, NOON + HOUR)).toEqual([[at, 2.5, 1, 4]]);
    expect(await read('celsius', NOON, NOON + HOUR)).toEqual([[at, 40, 40, 40]]);
    expect(await read('fan', NOON, NOON + HOUR)).toEqual([[at, 1, 1, 1]]);
  });

  test('gives up the oldest when it takes too much room', async () => {
    await store.close();
    store = await open({ maxBytes: 1_000_000 });
    // Noise, which does not compress: 24 hours of 20,000 values, about 4 MB.
    for (let hour = 0; hour < 24; hour += 1) {
      const samples = Array.from({ length: 1000 }, (_, at) =>
        sample(
          NOON + hour * HOUR + at * 3000,
          Object.fromEntries(Array.from({ length: 20 }, (__, n) => [`m${n}`, Math.random()])),
        ),
      );
      // oxlint-disable-next-line no-await-in-loop -- hour by hour, as it comes
      await store.write({ ...EMPTY, samples });
    }
    now = NOON + DAY;
    await store.prune(now);
    const left = await read('m0', NOON, now, 24);
    expect(left.length).toBeGreaterThan(1);
    expect(left.length).toBeLessThan(12);
    // What is left is the newest.
    expect(left.at(-1)?.[0]).toBeGreaterThan(NOON + 23 * HOUR);
  }, 30_000);

  test('keeps twenty reports of a device, and finds each', async () => {
    const benches = benchesOf(25);
    await store.write({ ...EMPTY, benches });
    const lines = await store.benches('pi-1');
    expect(lines.map(({ benchId }) => benchId)).toEqual(
      Array.from({ length: 20 }, (_, at) => `b${24 - at}`),
    );
    expect(await store.allBenches({ before: null, limit: 1000 })).toEqual(lines);
    const [, , third] = lines;
    const ts = Date.parse(third?.ts ?? '');
    const before = { deviceId: 'pi-1', benchId: third?.benchId ?? '', ts };
    expect(await store.allBenches({ before, limit: 4 })).toEqual(lines.slice(3, 7));
    expect((await store.bench('pi-1', 'b24'))?.report.candidates[0]?.latencyMs?.p90).toBe(25);
    expect(await store.bench('pi-1', 'b4')).toBeNull();
    expect(await store.bench('pi-2', 'b24')).toBeNull();
  });

  test('a page is full although a line in it cannot be read', async () => {
    const benches = benchesOf(6);
    await store.write({ ...EMPTY, benches });
    await store.close();
    await withLevel(folder, async (level) => {
      for await (const [key, value] of level.iterator()) {
        if (value.includes('"benchId":"b4"')) await level.put(key, value.subarray(1));
      }
    });
    store = await open();
    const idsOf = async (limit: number) =>
      (await store.allBenches({ before: null, limit })).map(({ benchId }) => benchId);
    expect(await idsOf(2)).toEqual(['b5', 'b3']);
    expect(await idsOf(1000)).toEqual(['b5', 'b3', 'b2', 'b1', 'b0']);
    expect((await store.benches('pi-1')).map(({ benchId }) => benchId)).toContain('b0');
    expect(warnings.filter((text) => text.includes('cannot be read'))).toHaveLength(1);
  });

  test('a report goes although its line cannot be read, or names a device unheard of', async () => {
    const benches = [...benchesOf(3), ...benchesOf(2, 'pi-2')];
    await store.write({ ...EMPTY, benches });
    await store.close();
    const keysOf = (level: Level) =>
      level.keys({ gte: Buffer.of(KIND.benchLine), lt: Buffer.of(KIND.benchByTime + 1) }).all();
    await withLevel(folder, async (level) => {
      expect(await keysOf(level)).toHaveLength(5 * 3);
      for await (const [key, value] of level.iterator()) {
        const text = value.toString();
        if (text.includes('"benchId":"b0"')) await level.put(key, value.subarray(1));
        const named = text.replace('"deviceId":"pi-2"', '"deviceId":"pi-3"');
        if (text.includes('"benchId":"b1"')) await level.put(key, Buffer.from(named));
      }
    });
    store = await open({ maxBytes: 1 });
    await store.prune(now);
    await store.close();
    await withLevel(folder, async (level) => expect(await keysOf(level)).toEqual([]));
    store = await open();
  });

  test('an older record of a job does not replace a newer one', async () => {
    const record = (seq: number) => ({
      schema: 'edgefit/job/1' as const,
      deviceId: 'pi-1',
      jobId: 'j1',
      jobType: 'bench',
      rolloutId: null,
      digest: null,
      seq,
      status: 'IN_PROGRESS' as const,
      phase: 'fitting',
      attempt: 1,
      outcome: null,
      reason: null,
      progress: null,
      result: null,
      phases: {},
      ts: new Date(NOON).toISOString(),
      mono: 1,
      bootId: null,
    });
    await store.write({ ...EMPTY, jobs: [record(1), record(3), record(2)] });
    expect((await store.jobs('pi-1')).map(({ seq }) => seq)).toEqual([3]);
  });

  test('names that are none, and too many, are left out', async () => {
    const many = Object.fromEntries(Array.from({ length: 1100 }, (_, at) => [`metric${at}`, at]));
    await store.write({
      ...EMPTY,
      samples: [sample(NOON, { '<b>': 1, ['x'.repeat(65)]: 2, good: 3 }), sample(NOON + 1, many)],
    });
    const latest = await store.latest('pi-1');
    expect(Object.keys(latest)).toHaveLength(1000);
    expect(latest['good']).toEqual({ value: 3, ts: NOON });
  });
});
