import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openPostgresStore } from '../../../../agent/dashboard/server/history/postgres-store.ts';
import type { HistoryStore, Sample } from '../../../../agent/dashboard/server/ports.ts';
import { describeIf } from '../../../support/available.ts';
import { benchReport } from '../support/bench-report.ts';
import { startPostgres, type Postgres } from '../support/postgres.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOON = Date.UTC(2026, 5, 10, 12);
const EMPTY = { samples: [], jobs: [], benches: [] };

describeIf('postgres')('the history in PostgreSQL', () => {
  let postgres: Postgres;
  let store: HistoryStore;
  let now = NOON;
  const open = () =>
    openPostgresStore({
      url: postgres.url,
      rawMs: 2 * DAY,
      keepMs: 10 * DAY,
      nowMs: () => now,
      warn: () => undefined,
    });
  beforeAll(async () => {
    postgres = await startPostgres();
    store = await open();
  }, 60_000);
  afterAll(async () => {
    await store.close();
    await postgres.stop();
  });

  const sample = (ts: number, values: Sample['values']): Sample => {
    return { deviceId: 'pi-1', stream: 'host', ts, values };
  };
  const read = async (metric: string, fromMs: number, toMs: number, points = 1000) =>
    (await store.read({ deviceId: 'pi-1', metrics: [metric], fromMs, toMs, points })).series[
      metric
    ];

  test('gives back values, gaps, and means of steps; also after a restart', async () => {
    await store.write({
      ...EMPTY,
      samples: [
        sample(NOON - 1000, { celsius: 41, ['<b>']: 1 }),
        sample(NOON - 3000, { celsius: 40.25, load: 1 }),
        sample(NOON - 2000, { celsius: null }),
      ],
    });
    await store.close();
    store = await open();
    expect(await read('celsius', NOON - 10_000, NOON)).toEqual([
      [NOON - 3000, 40.25, 40.25, 40.25],
      [NOON - 2000, null, null, null],
      [NOON - 1000, 41, 41, 41],
    ]);
    expect(await read('celsius', NOON - 10_000, NOON, 1)).toEqual([
      [NOON - 2000, 40.625, 40.25, 41],
    ]);
    expect(await read('nothing', NOON - 10_000, NOON)).toEqual([]);
    expect(await store.latest('pi-1')).toEqual({
      celsius: { value: 41, ts: NOON - 1000 },
      load: { value: 1, ts: NOON - 3000 },
    });
  });

  test('keeps five minutes after two days, nothing after ten', async () => {
    const samples = [1, 2, 6].map((value, at) => sample(NOON + at * 60_000, { speed: value }));
    await store.write({ ...EMPTY, samples: [...samples, sample(NOON + 400_000, { speed: null })] });
    now = NOON + 2 * DAY + HOUR;
    await store.prune(now);
    await store.prune(now);
    const rolled = [
      [NOON + 150_000, 3, 1, 6],
      [NOON + 450_000, null, null, null],
    ];
    expect(await read('speed', NOON, NOON + HOUR)).toEqual(rolled);
    // One that comes late is added to its step: (9 + 7) / 4.
    await store.write({ ...EMPTY, samples: [sample(NOON + 1, { speed: 7 })] });
    await store.prune(now);
    expect(await read('speed', NOON, NOON + HOUR)).toEqual([[NOON + 150_000, 4, 1, 7], rolled[1]]);
    now = NOON + 11 * DAY;
    await store.prune(now);
    expect(await read('speed', NOON, NOON + HOUR)).toEqual([]);
  });

  test('values that no sum can hold are gaps, and do not keep the rest from being tidied', async () => {
    const samples = [0, 1, 2].map((at) => sample(NOON + at, { odd: at === 2 ? 5 : 1.7e308 }));
    await store.write({ ...EMPTY, samples: [...samples, sample(NOON + HOUR, { odd: -1.7e308 })] });
    now = NOON + HOUR;
    expect(await read('odd', NOON - 1000, NOON + 1000, 10)).toEqual([[NOON + 1, 5, 5, 5]]);
    now = NOON + 3 * DAY;
    await store.prune(now);
    expect(await read('odd', NOON, NOON + 2 * HOUR)).toEqual([
      [NOON + 150_000, 5, 5, 5],
      [NOON + HOUR + 150_000, null, null, null],
    ]);
  });

  test('keeps twenty reports of a device, whatever stands in them', async () => {
    const benches = Array.from({ length: 22 }, (_, at) => {
      const report = benchReport({ p90: at + 1, reason: 'odd \u0000 text' });
      const ts = new Date(NOON + at * 60_000).toISOString();
      const { name, sha256, format } = report.model;
      const model = { name, sha256, format };
      const line = { deviceId: 'pi-1', benchId: `b${at}`, ts, model, chosen: null, candidates: 1 };
      return { line, report };
    });
    await store.write({ ...EMPTY, benches });
    const lines = await store.benches('pi-1');
    expect(lines.map(({ benchId }) => benchId)).toEqual(
      Array.from({ length: 20 }, (_, at) => `b${21 - at}`),
    );
    expect(await store.allBenches({ before: null, limit: 1000 })).toEqual(lines);
    const [, , third] = lines;
    const ts = Date.parse(third?.ts ?? '');
    const before = { deviceId: 'pi-1', benchId: third?.benchId ?? '', ts };
    expect(await store.allBenches({ before, limit: 4 })).toEqual(lines.slice(3, 7));
    expect((await store.bench('pi-1', 'b21'))?.report).toEqual(benches[21]?.report);
    expect(await store.bench('pi-1', 'b1')).toBeNull();
  });

  test('a server that is not there is said in one line, without the password', async () => {
    const url = 'postgres://dash:secret@127.0.0.1:1/postgres';
    const opening = openPostgresStore({
      url,
      rawMs: 1,
      keepMs: 1,
      nowMs: Date.now,
      warn: () => undefined,
    });
    await expect(opening).rejects.toMatchObject({
      code: 'STORE',
      message: expect.stringMatching(
        /^PostgreSQL cannot be reached at postgres:\/\/127\.0\.0\.1:1\/postgres: /,
      ),
    });
  });
});

describeIf('postgres')('a PostgreSQL that wants a password', () => {
  const PASSWORD = 'a/b#c%41 ü';
  let postgres: Postgres;
  beforeAll(async () => {
    postgres = await startPostgres(PASSWORD);
  }, 60_000);
  afterAll(() => postgres.stop());
  const open = (url: string, password?: string) => {
    const rest = { rawMs: DAY, keepMs: DAY, nowMs: Date.now, warn: () => undefined };
    return openPostgresStore({ url, password, ...rest });
  };

  test('takes it from beside the URL or from within it', async () => {
    const withOne = new URL(postgres.url);
    withOne.password = encodeURIComponent(PASSWORD);
    const other = new URL(postgres.url);
    other.password = 'wrong';
    const stores = [
      await open(postgres.url, PASSWORD),
      await open(withOne.href),
      await open(other.href, PASSWORD),
    ];
    for (const store of stores) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      expect(await store.allBenches({ before: null, limit: 1000 })).toEqual([]);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await store.close();
    }
  });

  test.each([undefined, 'wrong'])(
    '%j is refused in one line that does not say it',
    async (given) => {
      const opening = open(postgres.url, given);
      await expect(opening).rejects.toThrow(
        /^PostgreSQL cannot be reached at postgres:[^\n]*assword/,
      );
      await expect(opening).rejects.not.toThrow(/wrong/);
    },
  );
});
