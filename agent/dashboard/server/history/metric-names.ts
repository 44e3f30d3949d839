import { metrics } from '../../../contracts/metrics.ts';
import { ONLINE_METRIC } from '../../../contracts/presence.ts';

/** What a metric may be called; anything else is not kept. */
export const METRIC_NAME = /^[A-Za-z0-9_.:-]{1,64}$/;

/** Names that agents of ours use: they always have room. */
const OURS: ReadonlySet<string> = new Set([...metrics.map(({ name }) => name), ONLINE_METRIC]);

export const isOurMetric = (name: string): boolean => OURS.has(name);

/** What an agent newer than this server may add, with room to spare. */
const MAX_PER_DEVICE = 32;
/** Other names that the fleet may bring, together: each takes room for good. */
export const MAX_OTHER_METRICS = 1000;

type Values = Readonly<Record<string, number | null>>;

/** Keeps one device from using up the names of all, in whichever store. */
export class MetricNames {
  readonly #byDevice = new Map<string, Set<string>>();
  readonly #others = new Set<string>();

  /** The values under names that are kept. */
  admit(deviceId: string, values: Values): Values {
    const names = Object.keys(values);
    const isKept = (name: string) => OURS.has(name) || this.#isAdmitted(deviceId, name);
    // As it nearly always is: nothing is copied then.
    if (names.every(isKept)) return values;
    return Object.fromEntries(Object.entries(values).filter(([name]) => isKept(name)));
  }

  #isAdmitted(deviceId: string, name: string): boolean {
    if (!METRIC_NAME.test(name)) return false;
    const ofDevice = this.#byDevice.get(deviceId) ?? new Set();
    if (ofDevice.has(name)) return true;
    const isNew = !this.#others.has(name);
    const isFull = isNew && this.#others.size >= MAX_OTHER_METRICS;
    if (ofDevice.size >= MAX_PER_DEVICE || isFull) return false;
    this.#byDevice.set(deviceId, ofDevice.add(name));
    this.#others.add(name);
    return true;
  }
}
