/** Figures for people. `null` and `undefined` are unknown: a dash, which is never mistaken for 0. */
export const UNKNOWN = '–';

type Maybe = number | null | undefined;

const isKnown = (value: Maybe): value is number => typeof value === 'number' && isFinite(value);

function round(value: number, digits: number): string {
  return value.toLocaleString('en', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/** Milliseconds with three figures: 4.21, 42.1, 421. */
export function formatMs(value: Maybe): string {
  if (!isKnown(value)) return UNKNOWN;
  if (value >= 100) return round(value, 0);
  return round(value, value >= 10 ? 1 : 2);
}

export function formatCelsius(value: Maybe): string {
  return isKnown(value) ? `${round(value, 1)} °C` : UNKNOWN;
}

/** A share from 0 to 1 in percent. */
export function formatShare(value: Maybe, digits = 1): string {
  return isKnown(value) ? `${round(value * 100, digits)} %` : UNKNOWN;
}

/** A share of a whole without a fraction, except that what is not all is never shown as 100 %. */
export function formatPart(part: number, whole: number): string {
  if (whole === 0) return UNKNOWN;
  const percent = (part / whole) * 100;
  if (part > 0 && percent < 1) return '<1 %';
  return `${part < whole ? Math.min(99, Math.round(percent)) : 100} %`;
}

export function formatNumber(value: Maybe, digits = 0): string {
  return isKnown(value) ? round(value, digits) : UNKNOWN;
}

/** A signed difference: `+1.2`, `−0.4`, `±0`. */
export function formatDifference(value: Maybe, digits = 1): string {
  if (!isKnown(value)) return UNKNOWN;
  const text = round(Math.abs(value), digits);
  if (Number(text.replaceAll(',', '')) === 0) return '±0';
  return `${value > 0 ? '+' : '−'}${text}`;
}

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function formatBytes(value: Maybe): string {
  if (!isKnown(value)) return UNKNOWN;
  let amount = value;
  let unit = 0;
  while (Math.abs(amount) >= 1024 && unit < BYTE_UNITS.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  return `${round(amount, unit > 0 && Math.abs(amount) < 100 ? 1 : 0)} ${BYTE_UNITS[unit] ?? ''}`;
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
] as const;

/** A span in its two largest units: `2 h 5 min`, `1.4 s`, `120 ms`. */
export function formatSpan(ms: Maybe): string {
  if (!isKnown(ms)) return UNKNOWN;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${round(ms / 1000, 1)} s`;
  const at = UNITS.findIndex(([, size]) => ms >= size);
  const [name, size] = UNITS[at] ?? UNITS[3];
  const [smallName, smallSize] = UNITS[at + 1] ?? ['', 0];
  const whole = Math.floor(ms / size);
  const rest = smallSize === 0 ? 0 : Math.floor((ms % size) / smallSize);
  return rest === 0 ? `${whole} ${name}` : `${whole} ${name} ${rest} ${smallName}`;
}

/**
 * How long ago, in one unit, so that a column keeps its width. A device whose clock is ahead was seen
 * now, not in the future.
 */
export function formatAgo(thenMs: Maybe, nowMs: number): string {
  if (!isKnown(thenMs)) return 'never';
  const ms = Math.max(0, nowMs - thenMs);
  if (ms < 5000) return 'now';
  const [name, size] = UNITS.find(([, unit]) => ms >= unit) ?? UNITS[3];
  return `${Math.floor(ms / size)} ${name} ago`;
}

/** `2026-11-26 18:04:07` in the reader's own time zone. */
export function formatTime(ms: Maybe): string {
  if (!isKnown(ms)) return UNKNOWN;
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return UNKNOWN;
  return date.toLocaleString('sv-SE');
}

/** Milliseconds since 1970 of an RFC 3339 time, or null. */
export function toMs(time: string | null | undefined): number | null {
  const ms = Date.parse(time ?? '');
  return Number.isNaN(ms) ? null : ms;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatNumber(count)} ${count === 1 ? one : many}`;
}
