import type { Measurement } from './running.ts';

/** One line for all candidates that were slowed down for the same reasons. */
export function throttleWarnings(
  rows: ReadonlyMap<string, Pick<Measurement, 'throttled'> | string>,
): readonly string[] {
  const lines = new Map<string, string[]>();
  for (const [id, row] of rows) {
    if (typeof row === 'string' || row.throttled === undefined) continue;
    const { reasons, turns } = row.throttled;
    const what = `the machine was throttled (${reasons.join(', ')})`;
    const outcome =
      turns > 0
        ? 'these were measured while it was, and their figures are too slow'
        : 'the turns of these that it hit were taken again after cooling';
    const line = `${what}; ${adviceFor(reasons)}${outcome}`;
    lines.set(line, [...(lines.get(line) ?? []), id]);
  }
  return [...lines].map(([line, ids]) => `${line}: ${ids.join(', ')}`);
}

function adviceFor(reasons: readonly string[]): string {
  return reasons.includes('under-voltage') ? 'the power supply is too weak; ' : '';
}
