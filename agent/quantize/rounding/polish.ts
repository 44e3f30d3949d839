import type { Target } from './lattice.ts';

/** Passes over all weights of a channel; most channels settle earlier. */
const MOST_PASSES = 4;

/**
 * Moves single integers of `q` while that makes (q - w)^T H (q - w) smaller. `matrix` is H, row-major.
 * Returns by how much the error fell.
 */
export function polish(
  matrix: Float64Array,
  size: number,
  { weights, limit }: Target,
  q: Float64Array,
): number {
  const slope = slopes(matrix, size, weights, q);
  let gained = 0;
  for (let pass = 0; pass < MOST_PASSES; pass++) {
    let moved = false;
    for (let k = 0, row = 0; k < size; k++, row += size) {
      const own = matrix[row + k] ?? 0;
      const from = q[k] ?? 0;
      const wish = Math.round(from - (slope[k] ?? 0) / own);
      const step = Math.max(-limit, Math.min(limit, wish)) - from;
      const change = step * (step * own + 2 * (slope[k] ?? 0));
      if (step === 0 || !(change < 0)) continue;
      q[k] = from + step;
      gained -= change;
      moved = true;
      for (let j = 0; j < size; j++) slope[j] = (slope[j] ?? 0) + step * (matrix[row + j] ?? 0);
    }
    if (!moved) break;
  }
  return gained;
}

/** H (q - w) */
function slopes(
  matrix: Float64Array,
  size: number,
  weights: Float64Array,
  q: Float64Array,
): Float64Array {
  const slope = new Float64Array(size);
  for (let k = 0, row = 0; k < size; k++, row += size) {
    const error = (q[k] ?? 0) - (weights[k] ?? 0);
    if (error === 0) continue;
    for (let j = 0; j < size; j++) slope[j] = (slope[j] ?? 0) + error * (matrix[row + j] ?? 0);
  }
  return slope;
}
