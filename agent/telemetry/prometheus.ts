import type { Registry } from 'prom-client';

/** One value under a name. */
export interface Point {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Everything under one name; `read` is asked at every scrape. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'gauge' | 'counter' | 'histogram';
  readonly labels?: readonly string[];
  /** Values now; of a histogram: what was observed since it was last asked. */
  readonly read: () => readonly Point[];
  /** Upper bounds, of a histogram. */
  readonly buckets?: readonly number[];
}

/**
 * A registry of prom-client that shows these families. The library is loaded here and not before:
 * a daemon that nobody scrapes does without it.
 */
export async function buildRegistry(families: readonly Family[]): Promise<Registry> {
  const { Counter, Gauge, Histogram, Registry: Registries } = await import('prom-client');
  const registry = new Registries();
  for (const { name, help, type, labels = [], read, buckets = [] } of families) {
    const options = { name, help, labelNames: [...labels], registers: [registry] };
    if (type === 'histogram') {
      const collect = () => {
        for (const { labels: own = {}, value } of read()) histogram.observe({ ...own }, value);
      };
      const histogram = new Histogram({ ...options, buckets: [...buckets], collect });
    } else if (type === 'counter') {
      const collect = () => {
        counter.reset();
        for (const { labels: own = {}, value } of read()) counter.inc({ ...own }, value);
      };
      const counter = new Counter({ ...options, collect });
    } else {
      const collect = () => {
        gauge.reset();
        for (const { labels: own = {}, value } of read()) gauge.set({ ...own }, value);
      };
      const gauge = new Gauge({ ...options, collect });
    }
  }
  return registry;
}
