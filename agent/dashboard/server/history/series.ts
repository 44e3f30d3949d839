import type { HistoryPoint } from '../../../contracts/dashboard.ts';

interface Step {
  tsSum: number;
  entries: number;
  sum: number;
  count: number;
  min: number;
  max: number;
}

/**
 * Values of one metric in steps of one width: mean, smallest and largest of each. What could not be
 * read (NaN) makes a gap where a step has nothing else.
 */
export class Series {
  readonly #fromMs: number;
  readonly #stepMs: number;
  readonly #steps = new Map<number, Step>();

  constructor(fromMs: number, stepMs: number) {
    this.#fromMs = fromMs;
    this.#stepMs = stepMs;
  }

  /** A value, or with `more` what several came to. */
  add(
    ts: number,
    value: number,
    more: { readonly min: number; readonly max: number; readonly count: number } = {
      min: value,
      max: value,
      count: 1,
    },
  ): void {
    const index = Math.floor((ts - this.#fromMs) / this.#stepMs);
    const step = this.#steps.get(index) ?? newStep();
    this.#steps.set(index, step);
    step.tsSum += ts - this.#fromMs;
    step.entries += 1;
    if (Number.isNaN(value) || more.count === 0) return;
    step.sum += value * more.count;
    step.count += more.count;
    step.min = Math.min(step.min, more.min);
    step.max = Math.max(step.max, more.max);
  }

  /** In the order of time. */
  points(): HistoryPoint[] {
    return [...this.#steps]
      .toSorted(([a], [b]) => a - b)
      .map(([, { tsSum, entries, sum, count, min, max }]): HistoryPoint => {
        const ts = Math.round(this.#fromMs + tsSum / entries);
        return count === 0 ? [ts, null, null, null] : [ts, sum / count, min, max];
      });
  }

  /** Sums instead of means, with the beginning of each step; for what is stored. */
  *totals(): Iterable<readonly [ts: number, step: Readonly<Step>]> {
    for (const [index, step] of this.#steps) yield [this.#fromMs + index * this.#stepMs, step];
  }
}

function newStep(): Step {
  return {
    tsSum: 0,
    entries: 0,
    sum: 0,
    count: 0,
    min: Number.POSITIVE_INFINITY,
    max: Number.NEGATIVE_INFINITY,
  };
}

/** Width of the steps, so that a series has at most `points`. At least 1 ms. */
export function stepFor(fromMs: number, toMs: number, points: number): number {
  return Math.max(1, Math.ceil((toMs - fromMs) / points));
}
