import type { BenchReport } from '../../contracts/bench.ts';
import { threeDigits } from './words.ts';

const BAR_WIDTH = 40;

/** Median latency as bars of `#`, one line per measured row; the longest fills the width. */
export function latencyChart(report: BenchReport): string {
  const rows = report.candidates.flatMap(({ id, latencyMs }) =>
    latencyMs === null ? [] : [{ id, p50: latencyMs.p50 }],
  );
  const longest = Math.max(...rows.map(({ p50 }) => p50), Number.MIN_VALUE);
  const idWidth = Math.max(...rows.map(({ id }) => id.length), 0);
  return rows
    .map(({ id, p50 }) => {
      const bar = '#'.repeat(Math.max(1, Math.round((p50 / longest) * BAR_WIDTH)));
      const mark = id === report.chosen ? '  <- chosen' : '';
      return `${id.padEnd(idWidth)}  ${bar} ${threeDigits(p50)} ms${mark}`;
    })
    .join('\n');
}
