import type { JobCounts, Wave } from '../../../contracts/rollout.ts';
import { formatDifference, formatNumber, formatSpan } from '../ui/format.ts';

export function waveName({ index, kind, percent }: Wave): string {
  const number = `Wave ${index + 1}`;
  return kind === 'canary' ? `${number}, canaries` : `${number}, to ${formatNumber(percent)} %`;
}

/** Devices whose job came to an end; where it was taken back, nothing was done. */
export function doneOf({ succeeded, failed, rejected }: JobCounts): number {
  return succeeded + failed + rejected;
}

/** What has become of a wave; one of a rollout that has ended does not wait for anything. */
export function waveStateWords({ state }: Wave, hasEnded: boolean): string {
  if (!hasEnded) return state;
  if (state === 'scheduled') return 'never begun';
  return state === 'running' || state === 'soaking' ? 'broken off' : state;
}

/** Parts of the bar of a wave, each with its name, in the order in which they are drawn. */
export function partsOf(counts: JobCounts): (readonly [name: string, devices: number])[] {
  return [
    ['succeeded', counts.succeeded],
    ['failed', counts.failed],
    ['rejected', counts.rejected],
    ['canceled', counts.canceled],
    ['open', counts.open],
    ['pending', counts.pending],
  ];
}

/** `soaking, 12 min 5 s left` of the clock of the server. */
export function soakLeft(soakUntilMs: number | null, nowMs: number): string | null {
  if (soakUntilMs === null) return null;
  const left = soakUntilMs - nowMs;
  if (left <= 0) return 'soaked; being judged';
  // Whole seconds: a countdown with a fraction flickers.
  return `${formatSpan(Math.ceil(left / 1000) * 1000).replace('.0 ', ' ')} left to soak`;
}

/** What the devices of a wave changed to, each against itself before; empty where nothing is known. */
export function comparedWords(compared: Wave['compared']): string[] {
  if (compared === null) return [];
  const { p90Ratio, accuracyDrop, celsiusRise } = compared;
  return [
    ...(p90Ratio === null ? [] : [`p90 ${formatDifference((p90Ratio - 1) * 100)} %`]),
    ...(accuracyDrop === null
      ? []
      : [`accuracy ${formatDifference(-accuracyDrop * 100, 2)} points`]),
    ...(celsiusRise === null ? [] : [`temperature ${formatDifference(celsiusRise)} °C`]),
  ];
}
