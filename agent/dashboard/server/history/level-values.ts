import type { History } from '../../../contracts/dashboard.ts';
import type { HistoryQuery, Latest, Sample } from '../ports.ts';
import {
  DAY_MS,
  HOUR_MS,
  ROLLED_MS,
  kindRange,
  rawDevice,
  rawKey,
  rawTime,
  rolledKey,
  rolledTime,
  slotOf,
  slotRange,
  slotsRange,
} from './keys.ts';
import { keptValue } from './limits.ts';
import type { Database, Names, Put } from './names.ts';
import { Series, stepFor } from './series.ts';
import {
  decodeRaw,
  decodeRolled,
  encodeRaw,
  encodeRolled,
  mergeRolled,
  type RawValue,
  type RolledValue,
} from './values.ts';

/** What devices measured, in LevelDB: as it came for some days, then in steps of five minutes. */
export interface ValueLimits {
  /** How long values are kept as they came. */
  readonly rawMs: number;
  /** How long anything is kept. */
  readonly keepMs: number;
  /** Room on the disk for all of it. */
  readonly maxBytes: number;
}

/** A device whose values of two days are asked for has about 50,000 messages at one in 10 s. */
const MAX_LATEST = 2000;

interface Span {
  readonly from: number;
  readonly to: number;
  readonly nowMs: number;
}

export class LevelValues {
  readonly #db: Database;
  readonly #names: Names;
  readonly #limits: ValueLimits;
  #order = 0;

  constructor(db: Database, names: Names, limits: ValueLimits) {
    this.#db = db;
    this.#names = names;
    this.#limits = limits;
  }

  /** What has to be stored for a sample. */
  puts({ deviceId, ts, values }: Sample): Put[] {
    const device = this.#names.deviceFor(deviceId);
    if (device === null) return [];
    const known = Object.entries(values).flatMap(([name, value]): RawValue[] => {
      const metric = this.#names.metricFor(name);
      return metric === null ? [] : [[metric, keptValue(value) ?? Number.NaN]];
    });
    if (known.length === 0) return [];
    this.#order = (this.#order + 1) % 2 ** 32;
    const key = rawKey(device, Math.round(ts), this.#order);
    return [{ type: 'put', key, value: encodeRaw(known) }];
  }

  async read({ deviceId, metrics, fromMs, toMs, points }: HistoryQuery, nowMs: number) {
    const from = Math.max(fromMs, nowMs - this.#limits.keepMs, 0);
    const to = Math.min(toMs, nowMs + HOUR_MS);
    const stepMs = stepFor(fromMs, toMs, points);
    const series = new Map(metrics.map((name) => [name, new Series(fromMs, stepMs)]));
    const device = this.#names.device(deviceId);
    if (device !== undefined && from < to) await this.#fill(series, device, { from, to, nowMs });
    const entries = [...series].map(([name, one]) => [name, one.points()] as const);
    return {
      from: fromMs,
      to: toMs,
      stepMs,
      series: Object.fromEntries(entries),
    } satisfies History;
  }

  async #fill(series: ReadonlyMap<string, Series>, device: number, span: Span) {
    const { from, to, nowMs } = span;
    const wanted = new Map<number, Series>();
    for (const [name, one] of series) {
      const metric = this.#names.metric(name);
      if (metric !== undefined) wanted.set(metric, one);
    }
    for (let day = Math.floor(from / DAY_MS); day <= Math.floor(to / DAY_MS); day += 1) {
      // oxlint-disable-next-line no-await-in-loop -- one range after the other
      for await (const [key, value] of this.#db.iterator(slotRange('rolled', day, device))) {
        const ts = rolledTime(key) + ROLLED_MS / 2;
        if (ts < from || ts > to) continue;
        for (const { metric, sum, min, max, count } of decodeRolled(value)) {
          wanted.get(metric)?.add(ts, sum / count, { min, max, count });
        }
      }
    }
    // What is older is rolled up, give or take a server that was off meanwhile.
    const rawFrom = Math.max(from, nowMs - this.#limits.rawMs - DAY_MS);
    for (let hour = Math.floor(rawFrom / HOUR_MS); hour <= Math.floor(to / HOUR_MS); hour += 1) {
      // oxlint-disable-next-line no-await-in-loop -- one range after the other
      for await (const [key, value] of this.#db.iterator(slotRange('raw', hour, device))) {
        const ts = rawTime(key);
        if (ts < from || ts > to) continue;
        for (const [metric, number] of decodeRaw(value)) wanted.get(metric)?.add(ts, number);
      }
    }
  }

  /** The newest value of each metric, as far as the last messages of the last day tell. */
  async latest(deviceId: string, nowMs: number): Promise<Latest> {
    const latest = new Map<string, { value: number | null; ts: number }>();
    const device = this.#names.device(deviceId);
    if (device === undefined) return {};
    let read = 0;
    const newest = Math.floor(nowMs / HOUR_MS) + 1;
    for (let hour = newest; hour >= newest - 24 && read < MAX_LATEST; hour -= 1) {
      const range = { ...slotRange('raw', hour, device), reverse: true, limit: MAX_LATEST };
      // oxlint-disable-next-line no-await-in-loop -- until enough was read
      for await (const [key, value] of this.#db.iterator(range)) {
        read += 1;
        const ts = rawTime(key);
        for (const [metric, number] of decodeRaw(value)) {
          const name = this.#names.metricName(metric);
          if (name === undefined || latest.has(name)) continue;
          latest.set(name, { value: Number.isNaN(number) ? null : number, ts });
        }
      }
    }
    return Object.fromEntries(latest);
  }

  /** Rolls up what is older than `rawMs`, gives up what is too old, and then the oldest of too much. */
  async prune(nowMs: number): Promise<void> {
    const { rawMs, keepMs, maxBytes } = this.#limits;
    const before = Math.floor((nowMs - rawMs) / HOUR_MS);
    for (let hour = await this.#first('raw'); hour !== null && hour < before;) {
      await this.#rollUp(hour);
      hour = await this.#first('raw');
    }
    await this.#clear(slotsRange('rolled', 0, Math.floor((nowMs - keepMs) / DAY_MS)));
    while ((await this.#bytes()) > maxBytes && (await this.#dropOldest()));
  }

  async #first(kind: 'raw' | 'rolled'): Promise<number | null> {
    const [key] = await this.#db.keys({ ...kindRange(kind), limit: 1 }).all();
    return key === undefined ? null : slotOf(key);
  }

  /** Keys are in the order of devices, so one device's hour is in memory at a time. */
  async #rollUp(hour: number): Promise<void> {
    let device: number | null = null;
    let series = new Map<number, Series>();
    const store = async () => {
      if (device !== null) await this.#addRolled(device, series);
      series = new Map();
    };
    for await (const [key, value] of this.#db.iterator(slotsRange('raw', hour, hour + 1))) {
      if (rawDevice(key) !== device) await store();
      device = rawDevice(key);
      for (const [metric, number] of decodeRaw(value)) {
        const one = series.get(metric) ?? new Series(hour * HOUR_MS, ROLLED_MS);
        series.set(metric, one);
        one.add(rawTime(key), number);
      }
    }
    await store();
    await this.#clear(slotsRange('raw', hour, hour + 1));
  }

  /** What a device sends again after an outage belongs to steps that may have been rolled up before. */
  async #addRolled(device: number, series: ReadonlyMap<number, Series>): Promise<void> {
    const steps = rolledSteps(series);
    const keys = [...steps.keys()].map((ts) => rolledKey(device, ts));
    const known = await this.#db.getMany(keys);
    const puts = [...steps.values()].map((values, at): Put => {
      const [key, before] = [keys[at] ?? Buffer.alloc(0), known[at]];
      const all = before === undefined ? values : mergeRolled(decodeRolled(before), values);
      return { type: 'put', key, value: encodeRolled(all) };
    });
    await this.#db.batch(puts);
  }

  async #clear({ gte, lt }: { readonly gte: Buffer; readonly lt: Buffer }): Promise<void> {
    await this.#db.clear({ gte, lt });
    await this.#db.compactRange(gte, lt);
  }

  async #bytes(): Promise<number> {
    const ranges = [kindRange('raw'), kindRange('rolled')];
    const sizes = ranges.map(({ gte, lt }) => this.#db.approximateSize(gte, lt));
    return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  }

  async #dropOldest(): Promise<boolean> {
    const day = await this.#first('rolled');
    const hour = await this.#first('raw');
    if (day !== null) await this.#clear(slotsRange('rolled', day, day + 1));
    else if (hour !== null) await this.#clear(slotsRange('raw', hour, hour + 1));
    return day !== null || hour !== null;
  }
}

/** By the beginning of each step. */
function rolledSteps(series: ReadonlyMap<number, Series>): Map<number, RolledValue[]> {
  const steps = new Map<number, RolledValue[]>();
  for (const [metric, one] of series) {
    for (const [ts, { sum, min, max, count }] of one.totals()) {
      const values = steps.get(ts) ?? [];
      steps.set(ts, values);
      values.push({ metric, sum, min, max, count });
    }
  }
  return steps;
}
