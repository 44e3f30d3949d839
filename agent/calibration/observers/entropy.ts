import type { Range } from './bins.ts';
import type { HistogramState } from './histogram.ts';

/** Thresholds tried. */
const CANDIDATES = 128;
/** Share of its mass that a bin keeps when quantizing would leave it none: no infinite divergence. */
const SMOOTHING = 1e-4;

/**
 * The threshold T on |x| for which quantizing -T..T, clipped to what was seen, loses the least
 * information: the Kullback-Leibler divergence between the distribution with its outliers moved to
 * the ends and the same one merged into `levels` steps (Migacz, "8-bit inference with TensorRT").
 * The histogram has at least 2048 bins for 256 levels, so that there is something to choose from.
 */
export function entropyRange(histogram: HistogramState, seen: Range, levels: number): Range {
  const { exponent, first } = histogram;
  const counts = withoutZeroSpike(histogram);
  const largest = Math.max(Math.abs(seen.min), Math.abs(seen.max));
  const scale = 2 ** -exponent;
  let best = seen;
  let least = Infinity;
  // From the whole range down, and only better ones count: on a tie the wider range wins.
  for (let i = CANDIDATES; i >= 1; i -= 1) {
    const threshold = (largest * i) / CANDIDATES;
    const range = { min: Math.max(seen.min, -threshold), max: Math.min(seen.max, threshold) };
    const from = Math.max(0, Math.floor(range.min * scale) - first);
    const to = Math.min(counts.length, Math.floor(range.max * scale) + 1 - first);
    // Fewer bins than steps are represented without any loss, which says nothing.
    if (to - from < levels) break;
    const divergence = divergenceOf(counts, from, to, levels);
    if (divergence < least) [best, least] = [range, divergence];
  }
  return best;
}

/**
 * The quantizer represents zero exactly, so the zeros that rectifiers make in masses lose nothing:
 * their bin counts as its fuller neighbour. Left in, they would be spread over a whole step, and the
 * threshold would shrink until a step is hardly wider than that bin.
 */
function withoutZeroSpike({ first, counts }: HistogramState): Float64Array {
  const zero = -first;
  const [here, before, after] = [counts[zero], counts[zero - 1] ?? 0, counts[zero + 1] ?? 0];
  if (here === undefined || before + after === 0) return counts;
  const out = counts.slice();
  out[zero] = Math.min(here, Math.max(before, after));
  return out;
}

/** KL(p || q) for the bins from..to; p has the outliers at its ends, q only `levels` steps. */
function divergenceOf(counts: Float64Array, from: number, to: number, levels: number): number {
  const inside = counts.subarray(from, to);
  const p = Float64Array.from(inside);
  p[0] = (p[0] ?? 0) + sumOf(counts.subarray(0, from));
  p[p.length - 1] = (p.at(-1) ?? 0) + sumOf(counts.subarray(to));
  const q = mergedAndSpread(inside, p, levels);
  const [pTotal, qTotal] = [sumOf(p), sumOf(q)];
  if (qTotal === 0) return Infinity;
  let divergence = 0;
  for (let i = 0; i < p.length; i += 1) {
    const mass = p[i] ?? 0;
    if (mass === 0) continue;
    const share = mass / pTotal;
    divergence += share * Math.log(share / Math.max((q[i] ?? 0) / qTotal, SMOOTHING * share));
  }
  return divergence;
}

/** `inside` merged into steps, and each step spread evenly over its bins that p occupies. */
function mergedAndSpread(inside: Float64Array, p: Float64Array, levels: number): Float64Array {
  const q = new Float64Array(inside.length);
  for (let step = 0; step < levels; step += 1) {
    const start = Math.floor((step * inside.length) / levels);
    const end = Math.floor(((step + 1) * inside.length) / levels);
    let sum = 0;
    let occupied = 0;
    for (let i = start; i < end; i += 1) {
      sum += inside[i] ?? 0;
      if ((p[i] ?? 0) > 0) occupied += 1;
    }
    for (let i = start; i < end; i += 1) if ((p[i] ?? 0) > 0) q[i] = sum / occupied;
  }
  return q;
}

function sumOf(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
