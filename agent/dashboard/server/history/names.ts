import type { ClassicLevel } from 'classic-level';
import { deviceKey, kindRange, metricKey } from './keys.ts';
import { isOurMetric, MAX_OTHER_METRICS, METRIC_NAME } from './metric-names.ts';

export type Database = ClassicLevel<Buffer, Buffer>;
export type Put = { readonly type: 'put'; readonly key: Buffer; readonly value: Buffer };

/** Every name takes room for good; a large fleet has a hundred thousand devices. */
const MAX_DEVICES = 200_000;
/** Of all metrics; numbers of metrics have two bytes. */
const MAX_METRICS = 2 ** 16;

/** Short numbers for the names of devices and metrics. */
export class Names {
  readonly #devices = new Map<string, number>();
  readonly #metrics = new Map<string, number>();
  readonly #byNumber: string[] = [];
  #unsaved: Put[] = [];

  /** Reads what a store knows. */
  static async load(db: Database): Promise<Names> {
    const names = new Names();
    for await (const [key, value] of db.iterator(kindRange('device'))) {
      names.#devices.set(key.toString('utf8', 1), value.readUInt32BE(0));
    }
    for await (const [key, value] of db.iterator(kindRange('metric'))) {
      const name = key.toString('utf8', 1);
      names.#metrics.set(name, value.readUInt32BE(0));
      names.#byNumber[value.readUInt32BE(0)] = name;
    }
    return names;
  }

  device(name: string): number | undefined {
    return this.#devices.get(name);
  }

  metric(name: string): number | undefined {
    return this.#metrics.get(name);
  }

  metricName(number: number): string | undefined {
    return this.#byNumber[number];
  }

  /**
   * What has to be stored with what uses new numbers. It stays until it is said to be there: a number
   * that the disk does not know would be somebody else's after a restart.
   */
  unsaved(): readonly Put[] {
    return [...this.#unsaved];
  }

  saved(puts: readonly Put[]): void {
    const there = new Set(puts);
    this.#unsaved = this.#unsaved.filter((put) => !there.has(put));
  }

  /** The number of a device, new if need be. */
  deviceFor(name: string): number | null {
    return this.#numberFor(this.#devices, name, MAX_DEVICES, deviceKey);
  }

  /** Null for what is no name, or one too many. */
  metricFor(name: string): number | null {
    if (!METRIC_NAME.test(name)) return null;
    const most = isOurMetric(name) ? MAX_METRICS : MAX_OTHER_METRICS;
    const number = this.#numberFor(this.#metrics, name, most, metricKey);
    if (number !== null) this.#byNumber[number] = name;
    return number;
  }

  #numberFor(
    names: Map<string, number>,
    name: string,
    most: number,
    keyOf: (name: string) => Buffer,
  ): number | null {
    const known = names.get(name);
    if (known !== undefined) return known;
    if (names.size >= most) return null;
    const number = names.size;
    names.set(name, number);
    const value = Buffer.alloc(4);
    value.writeUInt32BE(number);
    this.#unsaved.push({ type: 'put', key: keyOf(name), value });
    return number;
  }
}
