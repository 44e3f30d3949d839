import { isReference } from './objective.ts';
import { bytesText, counted, moreText, msAgainst } from '../report/words.ts';
import type { MeasuredRow, Optimize } from '../types.ts';

/** Medians closer than this are the same: repeated runs differ by as much. */
export const SAME = 0.03;

/** One step of the comparison: smaller is better, and values within `tolerance` of the best tie. */
export interface Criterion {
  /** What rows have in common that tie here. */
  readonly tie: string;
  /** What the winner is praised for where this told rows apart. */
  readonly won: string;
  readonly tolerance: number;
  value(row: MeasuredRow): number;
  /** Why `row` lost to `choice` here. */
  lost(row: MeasuredRow, choice: MeasuredRow): string;
}

const speed: Criterion = {
  tie: 'same speed',
  won: 'faster',
  tolerance: SAME,
  value: (row) => row.latencyMs?.p50 ?? Infinity,
  lost(row, choice) {
    const own = this.value(row);
    const best = this.value(choice);
    return `${moreText(own, best, 'slower')} than the choice (${msAgainst(own, best)})`;
  },
};

const size: Criterion = {
  tie: 'same size',
  won: 'a smaller file',
  tolerance: SAME,
  value: (row) => row.bytes ?? Infinity,
  lost(row, choice) {
    const own = this.value(row);
    if (own === Infinity) return 'its size is unknown';
    const best = this.value(choice);
    const word = `${moreText(own, best, 'larger')} than the choice`;
    return `${word} (${bytesText(own)} against ${bytesText(best)})`;
  },
};

const memory: Criterion = {
  tie: 'same memory',
  won: 'less memory',
  tolerance: SAME,
  value: (row) => row.peakRssBytes ?? Infinity,
  lost(row, choice) {
    const own = this.value(row);
    if (own === Infinity) return 'its peak memory is unknown';
    const best = this.value(choice);
    return `needs more memory than the choice (peak ${bytesText(own)} against ${bytesText(best)})`;
  },
};

const threads: Criterion = {
  tie: 'same threads',
  won: 'fewer threads',
  tolerance: 0,
  value: (row) => row.threads,
  lost: (row, choice) => `uses ${counted(row.threads, 'thread')} instead of ${choice.threads}`,
};

const exactness: Criterion = {
  tie: 'same exactness',
  won: 'nothing rounded away',
  tolerance: 0,
  value: (row) => (isReference(row) ? 0 : row.method === 'fp16' ? 1 : 2),
  lost: (row, choice) =>
    `${row.precision} gains nothing over ${isReference(choice) ? 'the file as it is' : choice.precision}`,
};

/** What counts first, second, ... for each thing to optimize. */
export const CRITERIA: Readonly<Record<Optimize, readonly Criterion[]>> = {
  latency: [speed, threads, size, exactness],
  size: [size, speed, threads, exactness],
  memory: [memory, speed, threads, size, exactness],
};

export interface Ranking {
  readonly best: MeasuredRow;
  /** Row id -> index of the criterion at which it fell out; the best has none. */
  readonly fellAt: ReadonlyMap<string, number>;
}

/** Narrows the rows down criterion by criterion; what still ties goes to the lower median. */
export function rank(
  rows: readonly [MeasuredRow, ...MeasuredRow[]],
  criteria: readonly Criterion[],
): Ranking {
  const fellAt = new Map<string, number>();
  let left: readonly MeasuredRow[] = rows;
  for (const [index, criterion] of criteria.entries()) {
    const best = Math.min(...left.map((row) => criterion.value(row)));
    const limit = best * (1 + criterion.tolerance);
    for (const row of left) if (criterion.value(row) > limit) fellAt.set(row.id, index);
    left = left.filter((row) => !fellAt.has(row.id));
  }
  const best = left.reduce((a, b) => (speed.value(b) < speed.value(a) ? b : a), left[0] ?? rows[0]);
  return { best, fellAt };
}

/** Why a row that was good enough lost: what it shares with the choice, then where it fell behind. */
export function lossReason(
  row: MeasuredRow,
  ranking: Ranking,
  criteria: readonly Criterion[],
): string {
  const at = ranking.fellAt.get(row.id);
  if (at === undefined) return 'same as the choice in all that counts, but measured slower';
  const lost = criteria[at]?.lost(row, ranking.best) ?? '';
  const shared = criteria[at - 1]?.tie;
  if (at === 0 || shared === undefined) return lost;
  const tie = `${criteria[0]?.tie ?? shared} as ${ranking.best.id}`;
  const within = criteria[0]?.tolerance === SAME ? ' (within 3%)' : '';
  return `${tie}${within} but ${lost}`;
}

/**
 * Names the row that was measured a little better than the choice, and what told them apart; empty
 * when there is none.
 */
export function tieWords(
  rows: readonly MeasuredRow[],
  ranking: Ranking,
  criteria: readonly Criterion[],
): string {
  const main = criteria[0];
  if (main === undefined) return '';
  const better = rows
    .filter((row) => (ranking.fellAt.get(row.id) ?? 0) > 0)
    .filter((row) => main.value(row) < main.value(ranking.best))
    .toSorted((a, b) => main.value(a) - main.value(b))[0];
  const at = better === undefined ? undefined : ranking.fellAt.get(better.id);
  if (better === undefined || at === undefined) return '';
  return `${main.tie} as ${better.id} (within 3%) with ${criteria[at]?.won ?? ''}`;
}

/** `1.8x faster than fp32 at its best (1.70 against 3.10 ms)`. */
export function gainText(choice: MeasuredRow, other: MeasuredRow): string {
  const own = speed.value(choice);
  const best = speed.value(other);
  const gain = own < best ? moreText(best, own, 'faster') : 'as fast';
  const than = own < best ? 'than' : 'as';
  return `${gain} ${than} ${other.precision} at its best (${msAgainst(own, best)})`;
}
