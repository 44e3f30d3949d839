import type { ProfileGain } from '../../contracts/profile.ts';
import { moreText, msAgainst } from '../report/words.ts';
import type { MeasuredRow } from '../types.ts';

/** Exactly as much faster as is asked for is enough, whatever binary fractions make of it. */
const EPSILON = 1e-9;

/**
 * Why a row is not fast enough for its precision, or undefined: on some hardware one precision is
 * worth its risk only where it beats a safer one clearly. Compared are rows of one runtime.
 * @param rivals the rows that could be chosen instead
 * @param timeOf what rows are compared by, in ms
 */
export function gainObstacle<T extends MeasuredRow>(
  row: T,
  rivals: readonly T[],
  gains: readonly ProfileGain[],
  timeOf: (row: T) => number,
): string | undefined {
  const { precision, runtime } = row;
  const own = timeOf(row);
  for (const gain of gains) {
    if (gain.precision !== precision || !gain.runtimes.includes(runtime)) continue;
    const safer = rivals.filter(
      (other) => other.precision === gain.over && other.runtime === runtime,
    );
    const best = Math.min(...safer.map(timeOf));
    if (own * (1 + gain.min) <= best * (1 + EPSILON)) continue;
    const much = own < best ? `only ${moreText(best, own, 'faster')}` : 'no faster';
    const limit = `${Math.round(gain.min * 100)}%`;
    return `${much} than ${gain.over} (${msAgainst(own, best)}), and under ${limit} the profile keeps to ${gain.over}: ${gain.why}`;
  }
  return undefined;
}
