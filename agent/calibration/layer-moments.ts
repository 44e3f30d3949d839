import type { LayerInput, LayerMoments } from '../model/statistics.ts';
import { rowReader } from './layer-rows.ts';

/** Rows that are multiplied at a time: with the sums they stay in the cache. */
const BATCH = 64;

/** Sums up the moments of one layer's input over randomly chosen rows. */
export class MomentsAccumulator {
  readonly #layer: LayerInput;
  readonly #block: number;
  readonly #random: () => number;
  /** Value by value, BATCH rows each. */
  readonly #batch: Float64Array;
  readonly #sums: Float64Array;
  readonly #products: Float64Array;
  #count = 0;
  #filled = 0;

  constructor(layer: LayerInput, block: number, seed: number) {
    this.#layer = layer;
    this.#block = block;
    this.#random = mulberry(seed);
    const width = layer.size * layer.groups;
    this.#batch = new Float64Array(width * BATCH);
    this.#sums = new Float64Array(width);
    this.#products = new Float64Array(layer.groups * areaOf(layer.size, block));
  }

  /** Takes about `rows` rows of a sample, one at random from each stretch of equal length. */
  add(values: Float32Array, shape: readonly number[], rows: number): void {
    const reader = rowReader(this.#layer, values, shape);
    if (reader === undefined) return;
    const taken = Math.min(rows, reader.rows);
    const stretch = reader.rows / taken;
    for (let i = 0; i < taken; i++) {
      const row = Math.floor((i + this.#random()) * stretch);
      reader.read(Math.min(row, reader.rows - 1), this.#batch, this.#filled, BATCH);
      this.#filled += 1;
      if (this.#filled === BATCH) this.#flush();
    }
  }

  /** Undefined where nothing, or something that is not finite, was seen. */
  result(): LayerMoments | undefined {
    this.#flush();
    const { size, groups } = this.#layer;
    const block = this.#block;
    const count = this.#count;
    const mean = this.#sums.map((sum) => sum / count);
    if (count === 0 || !mean.every((value) => Number.isFinite(value))) return undefined;
    const covariance = new Float32Array(this.#products.length);
    for (const { first, width, at } of blocksOf(this.#layer, block)) {
      for (let i = 0; i < width; i++) {
        for (let j = i; j < width; j++) {
          const both = (this.#products[at + i * width + j] ?? 0) / count;
          const value = both - (mean[first + i] ?? 0) * (mean[first + j] ?? 0);
          covariance[at + i * width + j] = value;
          covariance[at + j * width + i] = value;
        }
      }
    }
    if (!covariance.every((value) => Number.isFinite(value))) return undefined;
    return { groups, size, block, count, mean, covariance };
  }

  #flush(): void {
    const batch = this.#batch;
    if (this.#filled < BATCH) clearRest(batch, this.#filled);
    const sums = this.#sums;
    for (let k = 0; k < sums.length; k++) {
      let sum = 0;
      for (let at = k * BATCH, end = at + BATCH; at < end; at++) sum += batch[at] ?? 0;
      sums[k] = (sums[k] ?? 0) + sum;
    }
    for (const { first, width, at } of blocksOf(this.#layer, this.#block)) {
      addProducts(batch, first, width, this.#products, at);
    }
    this.#count += this.#filled;
    this.#filled = 0;
  }
}

function clearRest(batch: Float64Array, filled: number): void {
  for (let at = 0; at < batch.length; at += BATCH) batch.fill(0, at + filled, at + BATCH);
}

/** Adds x x^T of a batch above and on the diagonal, four products at a time. */
function addProducts(
  batch: Float64Array,
  first: number,
  width: number,
  into: Float64Array,
  at: number,
): void {
  for (let i = 0; i < width; i += 2) {
    const a = (first + i) * BATCH;
    const b = i + 1 < width ? a + BATCH : a;
    for (let j = i; j < width; j += 2) {
      const c = (first + j) * BATCH;
      const d = j + 1 < width ? c + BATCH : c;
      let ac = 0;
      let ad = 0;
      let bc = 0;
      let bd = 0;
      for (let n = 0; n < BATCH; n++) {
        const [x, y] = [batch[a + n] ?? 0, batch[b + n] ?? 0];
        const [u, v] = [batch[c + n] ?? 0, batch[d + n] ?? 0];
        ac += x * u;
        ad += x * v;
        bc += y * u;
        bd += y * v;
      }
      const top = at + i * width + j;
      into[top] = (into[top] ?? 0) + ac;
      if (d !== c) into[top + 1] = (into[top + 1] ?? 0) + ad;
      if (b === a) continue;
      into[top + width] = (into[top + width] ?? 0) + bc;
      if (d !== c) into[top + width + 1] = (into[top + width + 1] ?? 0) + bd;
    }
  }
}

/** Entries that the blocks of one group take. */
function areaOf(size: number, block: number): number {
  const rest = size % block;
  return Math.floor(size / block) * block * block + rest * rest;
}

function* blocksOf({ size, groups }: LayerInput, block: number) {
  let at = 0;
  for (let group = 0; group < groups; group++) {
    for (let start = 0; start < size; start += block) {
      const width = Math.min(block, size - start);
      yield { first: group * size + start, width, at };
      at += width * width;
    }
  }
}

/** Numbers in [0, 1), the same at every run (Mulberry32). */
function mulberry(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}
