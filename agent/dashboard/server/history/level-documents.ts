import { benchSchema } from '../../../contracts/bench.ts';
import { benchLineSchema, type BenchLine } from '../../../contracts/dashboard.ts';
import { jobRecordSchema, type JobRecord } from '../../../contracts/job.ts';
import type { z } from 'zod';
import type { BenchArrival, BenchPage } from '../ports.ts';
import { parsedJson } from './documents.ts';
import {
  benchLineKey,
  benchReportKey,
  benchTimeKey,
  benchTimeParts,
  deviceRange,
  jobKey,
  kindRange,
  type KeyRange,
} from './keys.ts';
import { MAX_BENCHES, MAX_JOBS, MAX_LINES, MAX_REPORT_BYTES } from './limits.ts';
import type { Database, Names } from './names.ts';

/** Job records and bench reports, in LevelDB. */

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

const parsed = <Schema extends z.ZodType>(schema: Schema, bytes: Buffer | undefined) =>
  parsedJson(schema, bytes?.toString());

export class LevelDocuments {
  readonly #db: Database;
  readonly #names: Names;
  readonly #maxBytes: number;
  readonly #unreadable: () => void;

  /** `unreadable` is told of each line of a report that is passed over. */
  constructor(db: Database, names: Names, maxBytes: number, unreadable: () => void) {
    this.#db = db;
    this.#names = names;
    this.#maxBytes = maxBytes;
    this.#unreadable = unreadable;
  }

  /** Stores a record; one that is older than what is there changes nothing. */
  async putJob(record: JobRecord): Promise<void> {
    const device = await this.#deviceFor(record.deviceId);
    if (device === null) return;
    const key = jobKey(device, record.jobId);
    const known = parsed(jobRecordSchema, await this.#db.get(key));
    if (known !== null && known.seq >= record.seq) return;
    await this.#db.put(key, json(record));
    if (known === null) await this.#dropOldJobs(device);
  }

  async jobs(deviceId: string): Promise<readonly JobRecord[]> {
    const device = this.#names.device(deviceId);
    if (device === undefined) return [];
    const values = await this.#db.values(deviceRange('job', device)).all();
    return values
      .flatMap((bytes) => parsed(jobRecordSchema, bytes) ?? [])
      .toSorted((a, b) => Date.parse(b.ts) - Date.parse(a.ts));
  }

  async #dropOldJobs(device: number): Promise<void> {
    const keys = await this.#db.keys(deviceRange('job', device)).all();
    if (keys.length <= MAX_JOBS) return;
    const jobs = (await this.#db.values(deviceRange('job', device)).all())
      .flatMap((bytes) => parsed(jobRecordSchema, bytes) ?? [])
      .toSorted((a, b) => Date.parse(b.ts) - Date.parse(a.ts));
    const kept = new Set(
      jobs.slice(0, MAX_JOBS).map(({ jobId }) => jobKey(device, jobId).toString()),
    );
    const gone = keys.filter((key) => !kept.has(key.toString()));
    await this.#db.batch(gone.map((key) => ({ type: 'del', key })));
  }

  /** Stores a report. The same one again replaces what is there. */
  async putBench({ line, report }: BenchArrival): Promise<void> {
    const device = await this.#deviceFor(line.deviceId);
    const bytes = json(report);
    if (device === null || bytes.length > MAX_REPORT_BYTES) return;
    const before = (await this.benches(line.deviceId)).find(
      ({ benchId }) => benchId === line.benchId,
    );
    if (before !== undefined) {
      await this.#dropBench(device, Date.parse(before.ts), before.benchId);
    }
    const ts = Date.parse(line.ts);
    await this.#db.batch([
      { type: 'put', key: benchLineKey(device, ts, line.benchId), value: json(line) },
      { type: 'put', key: benchTimeKey(device, ts, line.benchId), value: json(line) },
      { type: 'put', key: benchReportKey(device, line.benchId), value: bytes },
    ]);
    const lines = await this.benches(line.deviceId);
    for (const old of lines.slice(MAX_BENCHES)) {
      // oxlint-disable-next-line no-await-in-loop -- mostly one
      await this.#dropBench(device, Date.parse(old.ts), old.benchId);
    }
  }

  /** Of one device, newest first. */
  async benches(deviceId: string): Promise<readonly BenchLine[]> {
    const device = this.#names.device(deviceId);
    return device === undefined ? [] : this.#lines(deviceRange('benchLine', device), MAX_LINES);
  }

  /** Of all, newest first. */
  async allBenches({ before, limit }: BenchPage): Promise<readonly BenchLine[]> {
    const all = kindRange('benchByTime');
    if (before === null) return this.#lines(all, limit);
    const device = this.#names.device(before.deviceId);
    if (device === undefined) return [];
    const lt = benchTimeKey(device, before.ts, before.benchId);
    return this.#lines({ gte: all.gte, lt }, limit);
  }

  /** So many that can be read: a page that is short would be taken for the last. */
  async #lines(range: KeyRange, limit: number): Promise<readonly BenchLine[]> {
    const lines: BenchLine[] = [];
    for await (const bytes of this.#db.values({ ...range, reverse: true })) {
      const line = parsed(benchLineSchema, bytes);
      if (line === null) this.#unreadable();
      else if (lines.push(line) === limit) break;
    }
    return lines;
  }

  async bench(deviceId: string, benchId: string): Promise<BenchArrival | null> {
    const device = this.#names.device(deviceId);
    if (device === undefined) return null;
    const report = parsed(benchSchema, await this.#db.get(benchReportKey(device, benchId)));
    const line = (await this.benches(deviceId)).find((one) => one.benchId === benchId);
    return report === null || line === undefined ? null : { line, report };
  }

  /** Gives up the oldest reports while there are too many bytes of them. */
  async prune(): Promise<void> {
    const { gte, lt } = kindRange('benchReport');
    while ((await this.#db.approximateSize(gte, lt)) > this.#maxBytes) {
      const range = { ...kindRange('benchByTime'), limit: MAX_LINES };
      const oldest = await this.#db.keys(range).all();
      if (oldest.length === 0) return;
      // By its key: a line that nobody can read must not leave its report behind for ever.
      for (const key of oldest) {
        const { device, ts, benchId } = benchTimeParts(key);
        // oxlint-disable-next-line no-await-in-loop -- one batch after the other
        await this.#dropBench(device, ts, benchId);
      }
      await this.#db.compactRange(gte, lt);
    }
  }

  async #dropBench(device: number, ts: number, benchId: string): Promise<void> {
    await this.#db.batch([
      { type: 'del', key: benchLineKey(device, ts, benchId) },
      { type: 'del', key: benchTimeKey(device, ts, benchId) },
      { type: 'del', key: benchReportKey(device, benchId) },
    ]);
  }

  async #deviceFor(deviceId: string): Promise<number | null> {
    const device = this.#names.deviceFor(deviceId);
    const named = this.#names.unsaved();
    if (named.length > 0) await this.#db.batch([...named]);
    this.#names.saved(named);
    return device;
  }
}
