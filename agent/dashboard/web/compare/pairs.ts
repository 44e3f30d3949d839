import type { Compare } from '../../../contracts/dashboard.ts';

export type ComparedRow = Compare['rows'][number];

const THREADS = /\/t\d+$/;

/** A candidate without its threads: devices differ in cores, and each tries what it has. */
const kindOf = (candidate: string) => candidate.replace(THREADS, '');

function onlyOne(rows: readonly ComparedRow[], side: 'left' | 'right', kind: string) {
  const found = rows.filter((row) => row[side] !== null && kindOf(row.candidate) === kind);
  return found.length === 1 ? found[0] : undefined;
}

/**
 * The rows of a comparison, where candidates of one kind that each report has once stand side by side
 * even when their threads differ: `tflite/int8-static/t2 → t6`.
 */
export function pairRows(rows: readonly ComparedRow[]): ComparedRow[] {
  return rows.flatMap((row): ComparedRow[] => {
    if (row.left !== null && row.right !== null) return [row];
    const kind = kindOf(row.candidate);
    const left = onlyOne(rows, 'left', kind);
    const right = onlyOne(rows, 'right', kind);
    if (left === undefined || right === undefined) return [row];
    if (row === right) return [];
    const threads = THREADS.exec(right.candidate)?.[0].slice(1) ?? '';
    return [{ candidate: `${left.candidate} → ${threads}`, left: left.left, right: right.right }];
  });
}

/** What the one device chose against what the other chose; null where one has chosen nothing. */
export function chosenRow(rows: readonly ComparedRow[]): ComparedRow | null {
  const left = rows.find((row) => row.left?.verdict === 'chosen');
  const right = rows.find((row) => row.right?.verdict === 'chosen');
  if (left === undefined || right === undefined || left === right) return null;
  return {
    candidate: `${left.candidate} → ${right.candidate}`,
    left: left.left,
    right: right.right,
  };
}
