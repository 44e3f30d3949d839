import type { Bins, Range } from './bins.ts';

/** Candidates per search step; three rounds of zooming in leave an error of about 0.2 %. */
const STEPS = 12;
const ROUNDS = 3;
/** The range never shrinks below this share of what was seen. */
const SMALLEST_SHARE = 1 / 64;

/**
 * The sub-range with the least squared error of the affine quantizer that will be used: `levels`
 * values, zero exactly representable. Both ends shrink together first, then each by itself.
 */
export function mseRange(bins: Bins, levels: number): Range {
  const { min, max } = bins;
  const shares = (low: number, high: number): Range => ({ min: min * low, max: max * high });
  const error = (low: number, high: number) => quantizationError(bins, shares(low, high), levels);
  let low = 1;
  let high = 1;
  const both = search((share) => error(share, share));
  if (error(both, both) < error(1, 1)) [low, high] = [both, both];
  // Only an end on its own side of zero can shrink: the quantizer's range always includes zero.
  for (let round = 0; round < 2; round += 1) {
    if (max > 0)
      high = better(
        high,
        search((share) => error(low, share)),
        (s) => error(low, s),
      );
    if (min < 0)
      low = better(
        low,
        search((share) => error(share, high)),
        (s) => error(s, high),
      );
  }
  return { min: min < 0 ? min * low : min, max: max > 0 ? max * high : max };
}

function better(now: number, found: number, error: (share: number) => number): number {
  return error(found) < error(now) ? found : now;
}

/** The share of the end with the smallest error: an even grid, then finer grids around the best. */
function search(error: (share: number) => number): number {
  let [from, to] = [SMALLEST_SHARE, 1];
  let best = 1;
  for (let round = 0; round < ROUNDS; round += 1) {
    const step = (to - from) / STEPS;
    let least = error(best);
    const start = from;
    for (let i = 0; i <= STEPS; i += 1) {
      const share = start + i * step;
      const found = error(share);
      // On a tie the wider range wins: it clips less of what calibration has not seen.
      if (found < least || (found === least && share > best)) [best, least] = [share, found];
    }
    from = Math.max(SMALLEST_SHARE, best - step);
    to = Math.min(1, best + step);
  }
  return best;
}

/** Sum of squared errors after quantizing and dequantizing, values evenly spread within a bin. */
export function quantizationError(bins: Bins, range: Range, levels: number): number {
  const low = Math.min(0, range.min);
  const high = Math.max(0, range.max);
  const scale = (high - low) / (levels - 1);
  if (scale === 0) return bins.count.reduce((sum, n, i) => sum + n * clippedTo(bins, i, 0), 0);
  const zeroPoint = Math.round(-low / scale);
  // Halfway beyond the outermost levels rounding turns into clipping.
  const first = -zeroPoint;
  const last = levels - 1 - zeroPoint;
  let error = 0;
  for (let i = 0; i < bins.count.length; i += 1) {
    const from = (bins.low[i] ?? 0) / scale;
    const to = (bins.high[i] ?? 0) / scale;
    error += (bins.count[i] ?? 0) * meanError(from, to, first, last);
  }
  return error * scale * scale;
}

/** Mean squared distance of the values of a bin from one value. */
function clippedTo({ low, high }: Bins, i: number, value: number): number {
  const [from = 0, to = 0] = [low[i], high[i]];
  return meanSquare(from - value, to - value);
}

/** Mean of x^2 over a..b. */
function meanSquare(a: number, b: number): number {
  return (a * a + a * b + b * b) / 3;
}

/** Mean squared error, in steps, of values evenly spread over from..to. */
function meanError(from: number, to: number, first: number, last: number): number {
  const middle = (from + to) / 2;
  if (middle > last + 0.5) return meanSquare(from - last, to - last);
  if (middle < first - 0.5) return meanSquare(from - first, to - first);
  // Shorter than rounding noise of the integral below: the error at the middle.
  if (to - from < 1e-6) return (middle - Math.round(middle)) ** 2;
  return (roundingIntegral(to) - roundingIntegral(from)) / (to - from);
}

/** Integral of (x - round(x))^2 from -1/2 to x: 1/12 per whole step, a cubic within one. */
function roundingIntegral(x: number): number {
  const step = Math.round(x);
  const rest = x - step;
  return step / 12 + (rest * rest * rest + 0.125) / 3;
}
