/**
 * Rounding as a closest-vector problem: of all integer vectors q, which makes
 * (s q - w)^T H (s q - w) small, where H holds the second moments of what meets the weights w.
 */

/** A factor of H with unit diagonal apart: H = U^T diag(d) U, U upper triangular with ones. */
export interface Factor {
  readonly size: number;
  /** U above its diagonal, row-major. */
  readonly upper: Float64Array;
  /** What a weight adds to the error once all weights after it are settled. */
  readonly d: Float64Array;
}

/** Share of a pivot that must be left for it to count; below it the rest is rounding of floats. */
const SMALLEST_PIVOT = 1e-9;

/** Factors a positive definite matrix, row-major; a matrix that is not quite is treated as if. */
export function factor(matrix: Float64Array, size: number): Factor {
  const upper = matrix.slice();
  const d = new Float64Array(size);
  for (let k = 0; k < size; k++) {
    const row = k * size;
    const own = matrix[row + k] ?? 0;
    const pivot = Math.max(upper[row + k] ?? 0, own * SMALLEST_PIVOT, Number.MIN_VALUE);
    d[k] = pivot;
    for (let i = k + 1; i < size; i++) {
      const ratio = (upper[row + i] ?? 0) / pivot;
      if (ratio === 0) continue;
      const target = i * size;
      for (let j = i; j < size; j++) {
        upper[target + j] = (upper[target + j] ?? 0) - ratio * (upper[row + j] ?? 0);
      }
    }
    for (let i = k + 1; i < size; i++) upper[row + i] = (upper[row + i] ?? 0) / pivot;
  }
  return { size, upper, d };
}

/** e^T H e */
export function quadraticError({ size, upper, d }: Factor, error: Float64Array): number {
  let sum = 0;
  for (let k = 0, row = 0; k < size; k++, row += size) {
    let value = error[k] ?? 0;
    for (let j = k + 1; j < size; j++) value += (upper[row + j] ?? 0) * (error[j] ?? 0);
    sum += (d[k] ?? 0) * value * value;
  }
  return sum;
}

/** Weights in units of their scale, and the largest integer they may become. */
export interface Target {
  readonly weights: Float64Array;
  readonly limit: number;
}

/**
 * Settles the weights from the last to the first, each at the integer nearest to where the errors
 * already made want it: Babai's nearest plane, the same as GPTQ (Frantar et al. 2022, arXiv
 * 2210.17323) with its order turned round. Writes integers into `into`; returns the error in units of
 * scale^2.
 */
export function nearestPlane(
  { size, upper, d }: Factor,
  { weights, limit }: Target,
  into: Float64Array,
): number {
  let sum = 0;
  const error = new Float64Array(size);
  for (let k = size - 1; k >= 0; k--) {
    const row = k * size;
    let pull = 0;
    for (let j = k + 1; j < size; j++) pull += (upper[row + j] ?? 0) * (error[j] ?? 0);
    const wish = (weights[k] ?? 0) - pull;
    const q = Math.max(-limit, Math.min(limit, Math.round(wish)));
    into[k] = q;
    error[k] = q - (weights[k] ?? 0);
    sum += (d[k] ?? 0) * (q - wish) * (q - wish);
  }
  return sum;
}

/**
 * Goes on from `into` to the closest integers: depth first, nearest integers first, leaving branches
 * that are already worse (Schnorr and Euchner 1994), for at most `visits` integers. For small kernels
 * that is the optimum of AdaRound's objective (Nagel et al. 2020, arXiv 2004.10568) over all integers,
 * not only the two neighbours. Returns the error of what is in `into`, at most `best`.
 */
export function closest(
  { size, upper, d }: Factor,
  { weights, limit }: Target,
  into: Float64Array,
  best: number,
  visits: number,
): number {
  const q = new Float64Array(size);
  const error = new Float64Array(size);
  let least = best;
  let left = visits;
  const descend = (k: number, before: number): void => {
    if (k < 0) {
      least = before;
      into.set(q);
      return;
    }
    const row = k * size;
    let wish = weights[k] ?? 0;
    for (let j = k + 1; j < size; j++) wish -= (upper[row + j] ?? 0) * (error[j] ?? 0);
    const first = Math.max(-limit, Math.min(limit, Math.round(wish)));
    const side = wish >= first ? 1 : -1;
    for (let step = 0; left > 0; step++) {
      const away = step % 2 === 1 ? side * ((step + 1) / 2) : (-side * step) / 2;
      const value = first + away;
      const sum = before + (d[k] ?? 0) * (value - wish) * (value - wish);
      if (Math.abs(value) > limit) {
        if (Math.abs(first - away) > limit || sum >= least) return;
        continue;
      }
      if (sum >= least) return;
      left -= 1;
      q[k] = value;
      error[k] = value - (weights[k] ?? 0);
      descend(k - 1, sum);
    }
  };
  descend(size - 1, 0);
  return least;
}
