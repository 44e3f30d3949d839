import type { Bins, Range } from './bins.ts';

/**
 * Cuts off the outermost values: `percentile` (0 to 100) of them stay, what goes is split evenly
 * between both ends. Within a bin the values count as evenly spread. 100 keeps everything.
 */
export function percentileRange(bins: Bins, percentile: number): Range {
  const cut = (bins.total * (100 - percentile)) / 200;
  if (cut <= 0) return { min: bins.min, max: bins.max };
  return { min: fromBelow(bins, cut), max: fromAbove(bins, cut) };
}

function fromBelow({ low, high, count, max }: Bins, cut: number): number {
  let below = 0;
  for (let i = 0; i < count.length; i += 1) {
    const here = count[i] ?? 0;
    const [start = 0, end = 0] = [low[i], high[i]];
    if (below + here >= cut) return start + ((end - start) * (cut - below)) / here;
    below += here;
  }
  return max;
}

function fromAbove({ low, high, count, min }: Bins, cut: number): number {
  let above = 0;
  for (let i = count.length - 1; i >= 0; i -= 1) {
    const here = count[i] ?? 0;
    const [start = 0, end = 0] = [low[i], high[i]];
    if (above + here >= cut) return end - ((end - start) * (cut - above)) / here;
    above += here;
  }
  return min;
}
