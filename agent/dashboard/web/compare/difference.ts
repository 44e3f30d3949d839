import type { Compared } from '../../../contracts/dashboard.ts';
import {
  formatBytes,
  formatDifference,
  formatMs,
  formatNumber,
  formatShare,
} from '../ui/format.ts';

export type Verdict = 'better' | 'worse' | 'same' | 'none';

/** A figure that is compared. */
export interface Figure {
  readonly key: keyof Omit<Compared, 'verdict'>;
  readonly name: string;
  readonly format: (value: number | null) => string;
  readonly better: 'lower' | 'higher';
  /** `ratio`: the difference is in percent of the left; `points`: in hundredths; `plain`: as it is. */
  readonly as: 'ratio' | 'points' | 'plain';
}

const decibels = (value: number | null) => formatNumber(value, 1);

export const figures: readonly Figure[] = [
  { key: 'p50Ms', name: 'p50 ms', format: formatMs, better: 'lower', as: 'ratio' },
  { key: 'p90Ms', name: 'p90 ms', format: formatMs, better: 'lower', as: 'ratio' },
  { key: 'p99Ms', name: 'p99 ms', format: formatMs, better: 'lower', as: 'ratio' },
  { key: 'accuracy', name: 'accuracy', format: formatShare, better: 'higher', as: 'points' },
  { key: 'sqnrDb', name: 'SQNR dB', format: decibels, better: 'higher', as: 'plain' },
  { key: 'integerCoverage', name: 'integer', format: formatShare, better: 'higher', as: 'points' },
  { key: 'bytes', name: 'size', format: formatBytes, better: 'lower', as: 'ratio' },
  { key: 'peakRssBytes', name: 'memory', format: formatBytes, better: 'lower', as: 'ratio' },
];

/** Differences below these are noise, not news: a percent, a tenth of a point, a tenth of a decibel. */
const NOISE: Readonly<Record<Figure['as'], number>> = { ratio: 1, points: 0.1, plain: 0.1 };
const UNIT: Readonly<Record<Figure['as'], string>> = { ratio: ' %', points: ' pt', plain: '' };

export interface Difference {
  readonly text: string;
  readonly verdict: Verdict;
}

/** Right against left of one figure; nothing where one of the two is missing. */
export function differenceOf(
  figure: Figure,
  left: number | null,
  right: number | null,
): Difference {
  if (left === null || right === null || (figure.as === 'ratio' && left === 0)) {
    return { text: '', verdict: 'none' };
  }
  const amount =
    figure.as === 'ratio'
      ? (right / left - 1) * 100
      : (right - left) * (figure.as === 'points' ? 100 : 1);
  const text = `${formatDifference(amount)}${UNIT[figure.as]}`;
  if (Math.abs(amount) < NOISE[figure.as]) return { text, verdict: 'same' };
  return { text, verdict: amount > 0 === (figure.better === 'higher') ? 'better' : 'worse' };
}
