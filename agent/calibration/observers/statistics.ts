import type { ObserverName, Statistics, TensorStatistics } from '../../model/statistics.ts';
import type { AccumulatorState, ObserverNeeds } from './accumulator.ts';
import { occupiedBins, type Range } from './bins.ts';
import { entropyRange } from './entropy.ts';
import { RangesError } from './error.ts';
import { mseRange } from './mse.ts';
import { percentileRange } from './percentile.ts';

/** What was collected about the tensors of a model, by tensor name. */
export interface Collection {
  /** How many samples the model was run on. */
  readonly samples: number;
  readonly tensors: ReadonlyMap<string, AccumulatorState>;
}

export interface ObserverOptions {
  /** Per cent of the values that `percentile` keeps; 99.999. */
  readonly percentile?: number | undefined;
  /** Steps of the quantizer that `entropy` and `mse` choose a range for; 256. */
  readonly levels?: number | undefined;
}

const PERCENTILE = 99.999;
const LEVELS = 256;

/** What has to be collected for an observer. */
export function needsOf(observer: ObserverName, channels = false): ObserverNeeds {
  return { histogram: observer !== 'min-max' && observer !== 'moving-average', channels };
}

/**
 * The range of every tensor as the observer chooses it, always inside what was seen. Tensors without
 * a finite value are left out. Throws RangesError when an observer needs a histogram that was not
 * collected, or for options out of range.
 */
export function toStatistics(
  collection: Collection,
  observer: ObserverName,
  options: ObserverOptions = {},
): Statistics {
  const tensors = new Map<string, TensorStatistics>();
  for (const [name, state] of collection.tensors) {
    if (state.count === 0) continue;
    const range = rangeOf(name, state, observer, options);
    const { channelSums, channelCount } = state;
    const means = channelCount > 0 ? channelSums?.map((sum) => sum / channelCount) : undefined;
    tensors.set(name, {
      dtype: state.dtype,
      shape: state.shape,
      min: clamp(range.min, state),
      max: clamp(range.max, state),
      seenMin: state.min,
      seenMax: state.max,
      ...(means !== undefined && { channelMean: means }),
    });
  }
  return { samples: collection.samples, observer, tensors };
}

function clamp(value: number, { min, max }: Range): number {
  return Math.min(max, Math.max(min, value));
}

function rangeOf(
  name: string,
  state: AccumulatorState,
  observer: ObserverName,
  { percentile = PERCENTILE, levels = LEVELS }: ObserverOptions,
): Range {
  if (!(percentile > 0 && percentile <= 100)) {
    throw new RangesError(
      'option',
      `percentile must be above 0 and at most 100, got ${percentile}`,
    );
  }
  if (observer === 'min-max') return state;
  if (observer === 'moving-average') return { min: state.averageMin, max: state.averageMax };
  const bins = occupiedBins(state);
  if (bins === null || state.histogram === null) {
    const advice = `collect again for the observer ${observer}`;
    throw new RangesError('no-histogram', `tensor ${name} has no histogram: ${advice}`);
  }
  if (observer === 'percentile') return percentileRange(bins, percentile);
  if (observer === 'mse') return mseRange(bins, levels);
  return entropyRange(state.histogram, state, levels);
}

/** Tensors in which NaN or infinite values appeared, with how many: worth a warning. */
export function nonFiniteTensors(collection: Collection): ReadonlyMap<string, number> {
  return new Map(
    [...collection.tensors].flatMap(([name, { nonFinite }]) =>
      nonFinite > 0 ? [[name, nonFinite]] : [],
    ),
  );
}

/**
 * Says where NaN or infinite values appeared, in one line.
 * @param meant tensors that are no surprise
 */
export function nonFiniteWarnings(
  collection: Collection,
  meant: ReadonlySet<string> = new Set(),
): readonly string[] {
  const found = [...nonFiniteTensors(collection)].filter(([name]) => !meant.has(name));
  const [first, ...others] = found;
  if (first === undefined) return [];
  const [name, bad] = first;
  const more = others.length === 0 ? '' : `, and so had ${others.length} more`;
  return [`tensor '${name}' had ${bad} NaN or infinite values in calibration${more}`];
}
