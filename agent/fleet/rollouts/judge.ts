import type { RolloutSpec, Wave } from '../../contracts/rollout.ts';
import type { DeviceRow } from '../roster/row.ts';
import { valuesOf, type Execution } from './execution.ts';
import type { Fleet, WaveMemo } from './state.ts';
import type { WaveTally } from './tally.ts';

type Medians = NonNullable<Wave['compared']>;

/**
 * Why a wave must stop, going by its failures; null: it may go on. Judged at any moment: a number, and
 * a share of those that have ended or are at work, both beyond what an operator has already gone on
 * after. Those at work count because failures come sooner than successes: the first to end may all
 * have failed. A wave that is over also stops when none of several has succeeded, and one of canaries when
 * every canary of a hardware class has failed.
 */
export function judgeFailures(
  tally: WaveTally,
  kind: Wave['kind'],
  { maxFailed }: RolloutSpec,
  { forgiven, waived }: WaveMemo,
): string | null {
  const failed = tally.judged.failed - forgiven.failed;
  const tried = tally.judged.ended - forgiven.ended + tally.busy;
  const percent = tried === 0 ? 0 : (failed / tried) * 100;
  if (failed >= maxFailed.count && percent >= maxFailed.percent) {
    const limit = `${maxFailed.percent} % and ${maxFailed.count}`;
    // Not decimals: of thousands, one alone would be none of a hundred.
    const share = Number(percent.toPrecision(3));
    return `${failed} of ${tried} failed (${share} %); the limit is ${limit}`;
  }
  if (waived) return null;
  const isOver = tally.counts.pending + tally.counts.open === 0;
  if (isOver && failed > 1 && failed === tried) return `none of ${tried} succeeded`;
  if (kind !== 'canary') return null;
  for (const [name, { targets, failed: lost }] of tally.classes) {
    if (targets > 0 && lost === targets) return `every canary of ${name} failed (${lost})`;
  }
  return null;
}

/**
 * Medians over the devices of a wave, each compared with itself before its job: p90 after / before,
 * loss of accuracy of the same metric, rise of the temperature.
 */
export function compare(
  executions: Iterable<Execution>,
  { model }: RolloutSpec,
  fleet: Fleet,
): Medians {
  const ratios: number[] = [];
  const drops: number[] = [];
  const rises: number[] = [];
  let devices = 0;
  for (const { state, deviceId, before } of executions) {
    const row = fleet.get(deviceId);
    if (state !== 'succeeded' || before === null || !runs(row, model)) continue;
    const after = valuesOf(row);
    const pairs = [
      add(ratios, before.p90Ms, after.p90Ms, (was, is) => (was > 0 ? is / was : null)),
      before.accuracy?.metric === after.accuracy?.metric &&
        add(drops, before.accuracy?.value, after.accuracy?.value, (was, is) => was - is),
      add(rises, before.celsius, after.celsius, (was, is) => is - was),
    ];
    if (pairs.includes(true)) devices += 1;
  }
  return {
    devices,
    p90Ratio: median(ratios),
    accuracyDrop: median(drops),
    celsiusRise: median(rises),
  };
}

function runs(row: DeviceRow | undefined, model: RolloutSpec['model']): row is DeviceRow {
  return row?.model?.name === model.name && row.model.version === model.version;
}

function add(
  list: number[],
  was: number | null | undefined,
  is: number | null | undefined,
  make: (was: number, is: number) => number | null,
): boolean {
  if (was === null || was === undefined || is === null || is === undefined) return false;
  const value = make(was, is);
  if (value !== null) list.push(value);
  return value !== null;
}

/** The middle one, or the mean of the two in the middle; null of none. */
export function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  const [low, high] = [sorted[half - 1], sorted[half]];
  if (high === undefined) return null;
  return sorted.length % 2 === 1 || low === undefined ? high : (low + high) / 2;
}

/** Why a wave must not be followed by another, going by what it changed; null: it may. */
export function judgeComparison(medians: Medians, { compare: limits }: RolloutSpec): string | null {
  const { p90Ratio, accuracyDrop, celsiusRise } = medians;
  if (p90Ratio !== null && p90Ratio > limits.maxP90Ratio) {
    return `the median p90 is ${round(p90Ratio)} times what it was; the limit is ${limits.maxP90Ratio}`;
  }
  const { maxAccuracyDrop } = limits;
  if (accuracyDrop !== null && maxAccuracyDrop !== undefined && accuracyDrop > maxAccuracyDrop) {
    return `the median accuracy fell by ${round(accuracyDrop)}; the limit is ${maxAccuracyDrop}`;
  }
  if (celsiusRise !== null && celsiusRise > limits.maxCelsiusRise) {
    return `the median temperature rose by ${round(celsiusRise)} °C; the limit is ${limits.maxCelsiusRise}`;
  }
  return null;
}

function round(value: number): number {
  return Number(value.toFixed(3));
}
