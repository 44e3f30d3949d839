import type { Metric } from '../contracts/metrics.ts';

/** By metric; null: it cannot be read now. */
export type Values = Readonly<Record<string, number | null>>;

export interface Report {
  /** Every metric that is known is here. */
  readonly full: boolean;
  readonly values: Values;
}

/**
 * Report by exception: tells which values are worth a message. A value is when it has left the dead
 * band around what was last sent (not around the last sample, or a slow drift would never be told);
 * everything is once every `fullMs`. A sensor that falls silent is told once, as null; one that was
 * never there is not told at all.
 */
export class ChangeReporter {
  readonly #metrics: ReadonlyMap<string, Metric>;
  readonly #fullMs: number;
  #sent = new Map<string, number | null>();
  #lastFullMs: number | null = null;

  constructor(metrics: ReadonlyMap<string, Metric>, fullMs: number) {
    this.#metrics = metrics;
    this.#fullMs = fullMs;
  }

  /** The next report will be full: nobody knows what readers have got. */
  reset(): void {
    this.#lastFullMs = null;
  }

  /** What of a sample is to be sent; null: nothing. `monoMs` never goes back. */
  next(sample: Values, monoMs: number): Report | null {
    const full = this.#lastFullMs === null || monoMs - this.#lastFullMs >= this.#fullMs;
    const values = Object.fromEntries(
      [...this.#metrics.values()].flatMap((metric) => {
        const { name } = metric;
        const value = rounded(sample[name], metric.step);
        return value !== undefined && this.#isWorthIt(metric, value, full) ? [[name, value]] : [];
      }),
    );
    if (Object.keys(values).length === 0) return null;
    for (const [name, value] of Object.entries(values)) this.#sent.set(name, value);
    if (full) this.#lastFullMs = monoMs;
    return { full, values };
  }

  #isWorthIt({ name, deadBand }: Metric, value: number | null, full: boolean): boolean {
    const last = this.#sent.get(name) ?? null;
    if (value === null) return last !== null;
    if (full || last === null) return true;
    const { absolute = 0, relative = 0 } = deadBand;
    return (
      value !== last && Math.abs(value - last) >= Math.max(absolute, relative * Math.abs(last))
    );
  }
}

/** To the step in which a metric is sent; what is no number is no value. */
function rounded(value: number | null | undefined, step: number): number | null | undefined {
  if (value === undefined || value === null) return value;
  if (!Number.isFinite(value)) return null;
  // By decimals where the step is one: 3 * 0.1 is not 0.3.
  if (step >= 1) return Math.round(value / step) * step;
  return Number(value.toFixed(Math.round(-Math.log10(step))));
}
