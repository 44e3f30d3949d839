/** Figures as people read them. All return plain ASCII without padding. */

/** About three digits: `0.123`, `1.70`, `31.4`, `512`. */
export function threeDigits(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size < 1 ? 3 : size < 10 ? 2 : size < 100 ? 1 : 0);
}

/** Decimal units, as disks and file managers count. */
export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const kilo = bytes / 1e3;
  if (kilo < 1000) return `${threeDigits(kilo)} kB`;
  const mega = bytes / 1e6;
  return mega < 1000 ? `${threeDigits(mega)} MB` : `${threeDigits(bytes / 1e9)} GB`;
}

/** `1.8x`, `12x`. */
export function timesText(ratio: number): string {
  return `${ratio < 10 ? ratio.toFixed(1) : ratio.toFixed(0)}x`;
}

/** How much more `value` is than `base`: `1.8x slower`, `4% slower`, with `word` = `slower`. */
export function moreText(value: number, base: number, word: string): string {
  if (base <= 0) return word;
  const ratio = value / base;
  if (ratio >= 1.1) return `${timesText(ratio)} ${word}`;
  const percent = (ratio - 1) * 100;
  return percent < 0.5 ? `slightly ${word}` : `${percent.toFixed(0)}% ${word}`;
}

const MOST_DECIMALS = 6;

/**
 * Two numbers with as few decimals as tell them apart, so that a reason never reads
 * "20.0 is under 20.0". Equal numbers get `decimals`.
 */
export function apart(a: number, b: number, decimals = 1): readonly [string, string] {
  for (let digits = decimals; digits < MOST_DECIMALS; digits += 1) {
    if (a.toFixed(digits) !== b.toFixed(digits)) return [a.toFixed(digits), b.toFixed(digits)];
  }
  const digits = a === b ? decimals : MOST_DECIMALS;
  return [a.toFixed(digits), b.toFixed(digits)];
}

/** Two durations: `3.10 against 1.70 ms`. */
export function msAgainst(a: number, b: number): string {
  const smaller = Math.min(Math.abs(a), Math.abs(b));
  const [first, second] = apart(a, b, smaller < 1 ? 3 : smaller < 10 ? 2 : 1);
  return `${first} against ${second} ms`;
}

/** `1 thread`, `2 threads`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
