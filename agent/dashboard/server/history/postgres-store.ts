import type { Pool } from 'pg';
import { z } from 'zod';
import { benchSchema } from '../../../contracts/bench.ts';
import {
  benchLineSchema,
  type BenchLine,
  type HistoryPoint,
} from '../../../contracts/dashboard.ts';
import { jobRecordSchema } from '../../../contracts/job.ts';
import type { BenchArrival, HistoryQuery, HistoryStore, Sample } from '../ports.ts';
import { parsedJson, unreadableCounter } from './documents.ts';
import { keptValue, MAX_BENCHES, MAX_JOBS, MAX_LINES, MAX_REPORT_BYTES } from './limits.ts';
import { DAY_MS, ROLLED_MS } from './keys.ts';
import { METRIC_NAME } from './metric-names.ts';
import { connectPostgres, type PostgresPlace } from './postgres-connect.ts';
import {
  dropOld,
  INSERT_VALUES,
  READ_ALL_BENCHES,
  READ_LATEST,
  READ_OLDEST,
  READ_STEPS,
  ROLL_UP,
  SCHEMA,
  UPSERT_BENCH,
  UPSERT_JOB,
} from './postgres-schema.ts';
import { stepFor } from './series.ts';

export interface PostgresOptions extends PostgresPlace {
  readonly rawMs: number;
  readonly keepMs: number;
  readonly nowMs: () => number;
}

const stepRow = z.object({
  metric: z.string(),
  ts: z.coerce.number(),
  total: z.number().nullable(),
  n: z.coerce.number(),
  low: z.number().nullable(),
  high: z.number().nullable(),
});
const latestRow = z.object({
  metric: z.string(),
  ts: z.coerce.number(),
  value: z.number().nullable(),
});
const oldestRow = z.object({ ts: z.coerce.number().nullable() });
const textRow = z.object({ text: z.string() });
const benchRow = textRow.extend({ ts: z.coerce.number(), device: z.string(), bench: z.string() });

/** The history in PostgreSQL. Throws DashboardError. */
export async function openPostgresStore(options: PostgresOptions): Promise<HistoryStore> {
  const pool = await connectPostgres(options);
  const unreadable = unreadableCounter(options.warn);
  const { nowMs, keepMs } = options;
  const rawMs = Math.min(options.rawMs, keepMs);
  const rowsOf = async <Schema extends z.ZodType>(
    schema: Schema,
    text: string,
    values: readonly unknown[],
  ): Promise<z.output<Schema>[]> => {
    const { rows } = await pool.query<Record<string, unknown>>(text, [...values]);
    return rows.map((row) => schema.parse(row));
  };
  const documents = async <Schema extends z.ZodType>(
    schema: Schema,
    text: string,
    values: readonly unknown[],
  ) => {
    const rows = await rowsOf(textRow, text, values);
    return rows.flatMap((row) => parsedJson(schema, row.text) ?? []);
  };
  return {
    write: async ({ samples, jobs, benches }) => {
      for (const record of jobs) {
        const { deviceId, jobId, seq, ts } = record;
        const values = [deviceId, jobId, seq, Date.parse(ts), JSON.stringify(record)];
        // oxlint-disable-next-line no-await-in-loop -- few, and in order
        await pool.query(UPSERT_JOB, values);
        // oxlint-disable-next-line no-await-in-loop -- few, and in order
        await pool.query(dropOld('jobs', 'job'), [deviceId, MAX_JOBS]);
      }
      // oxlint-disable-next-line no-await-in-loop -- few, and in order
      for (const bench of benches) await writeBench(pool, bench);
      // Last: a batch that has failed is written again, and values would then be there twice.
      await writeValues(pool, samples);
    },
    read: (query) => readSteps(rowsOf, query),
    latest: async (deviceId) => {
      const rows = await rowsOf(latestRow, READ_LATEST, [deviceId, nowMs() - DAY_MS]);
      return Object.fromEntries(rows.map(({ metric, ts, value }) => [metric, { value, ts }]));
    },
    jobs: (deviceId) =>
      documents(
        jobRecordSchema,
        `select record as text from ${SCHEMA}.jobs where device = $1 order by ts desc`,
        [deviceId],
      ),
    benches: (deviceId) =>
      documents(
        benchLineSchema,
        `select line as text from ${SCHEMA}.benches where device = $1
         order by ts desc, bench desc limit $2`,
        [deviceId, MAX_LINES],
      ),
    allBenches: async ({ before, limit }) => {
      const lines: BenchLine[] = [];
      let place = [before?.ts ?? null, before?.deviceId ?? null, before?.benchId ?? null];
      for (;;) {
        const wanted = limit - lines.length;
        // oxlint-disable-next-line no-await-in-loop -- again only where some cannot be read
        const rows = await rowsOf(benchRow, READ_ALL_BENCHES, [wanted, ...place]);
        for (const { text } of rows) {
          const line = parsedJson(benchLineSchema, text);
          if (line === null) unreadable();
          else lines.push(line);
        }
        const last = rows.at(-1);
        if (last === undefined || rows.length < wanted || lines.length === limit) return lines;
        place = [last.ts, last.device, last.bench];
      }
    },
    bench: async (deviceId, benchId) => {
      const one = `from ${SCHEMA}.benches where device = $1 and bench = $2`;
      const ids = [deviceId, benchId];
      const [line] = await documents(benchLineSchema, `select line as text ${one}`, ids);
      const [report] = await documents(benchSchema, `select report as text ${one}`, ids);
      return line === undefined || report === undefined ? null : { line, report };
    },
    prune: async (now) => {
      await rollUp(pool, Math.floor(now - rawMs));
      await pool.query(`delete from ${SCHEMA}.rolled_values where ts < $1`, [now - keepMs]);
    },
    close: () => pool.end(),
  };
}

async function writeValues(pool: Pool, samples: readonly Sample[]): Promise<void> {
  const [devices, metrics, times, values]: [string[], string[], number[], (number | null)[]] = [
    [],
    [],
    [],
    [],
  ];
  for (const sample of samples) {
    for (const [metric, value] of Object.entries(sample.values)) {
      if (!METRIC_NAME.test(metric)) continue;
      devices.push(sample.deviceId);
      metrics.push(metric);
      times.push(Math.round(sample.ts));
      values.push(keptValue(value));
    }
  }
  if (devices.length > 0) await pool.query(INSERT_VALUES, [devices, metrics, times, values]);
}

/** A step at a time: all that has come since the last time could take longer than a statement may. */
async function rollUp(pool: Pool, beforeMs: number): Promise<void> {
  for (;;) {
    /* oxlint-disable no-await-in-loop -- one step after the other */
    const { rows } = await pool.query(READ_OLDEST);
    const oldest = oldestRow.parse(rows[0]).ts;
    if (oldest === null || oldest >= beforeMs) return;
    const end = (Math.floor(oldest / ROLLED_MS) + 1) * ROLLED_MS;
    await pool.query(ROLL_UP, [Math.min(end, beforeMs), ROLLED_MS]);
    /* oxlint-enable no-await-in-loop */
  }
}

async function writeBench(pool: Pool, { line, report }: BenchArrival): Promise<void> {
  const text = JSON.stringify(report);
  if (Buffer.byteLength(text) > MAX_REPORT_BYTES) return;
  const { deviceId, benchId, ts } = line;
  const values = [deviceId, benchId, Date.parse(ts), JSON.stringify(line), text];
  await pool.query(UPSERT_BENCH, values);
  await pool.query(dropOld('benches', 'bench'), [deviceId, MAX_BENCHES]);
}

async function readSteps(
  rowsOf: (
    schema: typeof stepRow,
    text: string,
    values: unknown[],
  ) => Promise<z.infer<typeof stepRow>[]>,
  { deviceId, metrics, fromMs, toMs, points }: HistoryQuery,
) {
  const stepMs = stepFor(fromMs, toMs, points);
  const values = [deviceId, metrics, Math.floor(fromMs), Math.ceil(toMs), stepMs, ROLLED_MS / 2];
  const rows = await rowsOf(stepRow, READ_STEPS, values);
  const series = Object.fromEntries(
    metrics.map((metric): [string, HistoryPoint[]] => [metric, []]),
  );
  for (const { metric, ts, total, n, low, high } of rows) {
    const mean = total === null || n === 0 ? null : total / n;
    series[metric]?.push([ts, mean, low, high]);
  }
  return { from: fromMs, to: toMs, stepMs, series };
}
