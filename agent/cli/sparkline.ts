import type { Io } from './output.ts';

const BLOCKS = '▁▂▃▄▅▆▇█'.split('');
const ASCII = '_.,-=+*#'.split('');

/** The marks from low to high: blocks where the terminal's character set has them. */
export function marksFor(env: Io['env']): readonly string[] {
  const set = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || '';
  return /utf-?8/i.test(set) ? BLOCKS : ASCII;
}

/**
 * The last `width` values as one line, the lowest of them at the bottom and the highest at the top; a
 * blank where there was none. Values that are all the same are a line in the middle.
 */
export function sparkline(
  values: readonly (number | null)[],
  width: number,
  marks: readonly string[],
): string {
  const shown = values.slice(-width);
  const known = shown.filter((value) => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const top = marks.length - 1;
  const text = shown.map((value) => {
    if (value === null) return ' ';
    const share = high > low ? (value - low) / (high - low) : 0.5;
    return marks[Math.round(share * top)] ?? ' ';
  });
  return text.join('').padStart(width);
}
