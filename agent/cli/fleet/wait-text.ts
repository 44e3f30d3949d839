const UNITS = [
  { unit: 'd', seconds: 86_400 },
  { unit: 'h', seconds: 3600 },
  { unit: 'm', seconds: 60 },
] as const;

/** How long ago, in four characters: `now`, `42s`, `7m`, `3h`, `12d`; `-` for never. */
export function wait(ms: number | null, nowMs: number): string {
  if (ms === null) return '-';
  const seconds = Math.max(0, Math.floor((nowMs - ms) / 1000));
  if (seconds < 1) return 'now';
  const found = UNITS.find((one) => seconds >= one.seconds);
  if (found === undefined) return `${seconds}s`;
  return `${Math.min(999, Math.floor(seconds / found.seconds))}${found.unit}`;
}
