/**
 * A histogram in bounded memory over a range that is not known beforehand.
 *
 * Bin k holds the values from k * w to before (k + 1) * w, and the width w is a power of two: where a
 * value falls is exact, widening merges whole neighbours, and the result depends on the values only,
 * not on their order. Histograms of several devices therefore merge without loss.
 */

/** Half of them at least are in use, because the width doubles. */
export const BINS = 4096;
/** Bin numbers stay below 2^40, far inside the exact integers of a double. */
const MAX_BIN_BITS = 40;
const MIN_EXPONENT = -149;

export interface HistogramState {
  /** The bin width is 2^exponent. */
  readonly exponent: number;
  /** Number of the bin that counts[0] is. */
  readonly first: number;
  readonly counts: Float64Array;
}

type Numbers = Float32Array | Float64Array;

export class Histogram {
  #exponent = 0;
  #first = 0;
  #counts: Float64Array | null = null;
  /** The extremes of what the bins cover; the width follows from them alone. */
  #min = Infinity;
  #max = -Infinity;

  /** Counts values, all finite, whose extremes the caller knows. */
  add(values: Numbers, min: number, max: number): void {
    if (values.length === 0) return;
    const counts = this.#cover(min, max);
    const scale = 2 ** -this.#exponent;
    const first = this.#first;
    for (let i = 0; i < values.length; i += 1) {
      const bin = Math.floor((values[i] ?? 0) * scale) - first;
      counts[bin] = (counts[bin] ?? 0) + 1;
    }
  }

  /** Adds the counts of another histogram, as if its values had been added here. */
  merge(other: HistogramState, min: number, max: number): void {
    const counts = this.#cover(min, max);
    const shift = 2 ** (other.exponent - this.#exponent);
    other.counts.forEach((count, i) => {
      if (count === 0) return;
      const bin = Math.floor((other.first + i) * shift) - this.#first;
      counts[bin] = (counts[bin] ?? 0) + count;
    });
  }

  /** The bins in use, or null when nothing was added. */
  state(): HistogramState | null {
    if (this.#counts === null) return null;
    const last = Math.floor(this.#max * 2 ** -this.#exponent) - this.#first;
    const counts = this.#counts.slice(0, last + 1);
    return { exponent: this.#exponent, first: this.#first, counts };
  }

  /** Makes sure that every value from min to max has a bin. */
  #cover(min: number, max: number): Float64Array {
    if (this.#counts !== null && min >= this.#min && max <= this.#max) return this.#counts;
    this.#min = Math.min(this.#min, min);
    this.#max = Math.max(this.#max, max);
    const exponent = exponentFor(this.#min, this.#max);
    const first = Math.floor(this.#min * 2 ** -exponent);
    this.#counts = rebin(this.#counts, this.#exponent, this.#first, exponent, first);
    this.#exponent = exponent;
    this.#first = first;
    return this.#counts;
  }
}

/** The smallest power of two that covers min to max with BINS bins. */
export function exponentFor(min: number, max: number): number {
  const largest = Math.max(Math.abs(min), Math.abs(max));
  // Divided before they are subtracted: the difference of two huge doubles is infinite.
  const span = max / BINS - min / BINS;
  const floor = Math.max(MIN_EXPONENT, exponentOf(largest) - MAX_BIN_BITS);
  let exponent = Math.max(floor, exponentOf(span) - 1);
  while (Math.floor(max * 2 ** -exponent) - Math.floor(min * 2 ** -exponent) >= BINS) exponent += 1;
  return exponent;
}

function exponentOf(value: number): number {
  return value === 0 ? MIN_EXPONENT : Math.floor(Math.log2(value));
}

function rebin(
  counts: Float64Array | null,
  exponent: number,
  first: number,
  newExponent: number,
  newFirst: number,
): Float64Array {
  const out = new Float64Array(BINS);
  const shift = 2 ** (exponent - newExponent);
  counts?.forEach((count, i) => {
    if (count === 0) return;
    const bin = Math.floor((first + i) * shift) - newFirst;
    out[bin] = (out[bin] ?? 0) + count;
  });
  return out;
}
