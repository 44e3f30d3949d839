import type { AccumulatorState } from '../observers/accumulator.ts';
import { RangesError } from '../observers/error.ts';
import { Histogram, type HistogramState } from '../observers/histogram.ts';
import type { Ranges } from './ranges.ts';

/**
 * Ranges as if all samples had been seen by one device: exact for extremes, histograms and channel
 * sums, approximate for moving averages (weighted by samples). A tensor keeps its histogram or
 * channels only when both sides have them. Pure. Throws RangesError for different models.
 */
export function mergeRanges(a: Ranges, b: Ranges): Ranges {
  if (a.model.sha256 !== b.model.sha256) {
    const names = `${a.model.name} (${a.model.sha256.slice(0, 12)}) and ${b.model.name}`;
    const message = `ranges of different models cannot be merged: ${names} (${b.model.sha256.slice(0, 12)})`;
    throw new RangesError('different-model', message);
  }
  const tensors = new Map(a.tensors);
  for (const [name, state] of b.tensors) {
    const other = tensors.get(name);
    tensors.set(name, other === undefined ? state : mergeStates(other, state, name));
  }
  return { model: a.model, samples: a.samples + b.samples, tensors };
}

function mergeStates(a: AccumulatorState, b: AccumulatorState, name: string): AccumulatorState {
  if (a.dtype !== b.dtype) {
    throw new RangesError(
      'invalid',
      `tensor ${name} is ${a.dtype} in one file, ${b.dtype} in another`,
    );
  }
  const averaged = a.averaged + b.averaged;
  const weight = averaged === 0 ? 0 : b.averaged / averaged;
  return {
    dtype: a.dtype,
    shape: a.samples === 0 ? b.shape : a.shape,
    samples: a.samples + b.samples,
    count: a.count + b.count,
    nonFinite: a.nonFinite + b.nonFinite,
    min: Math.min(a.min, b.min),
    max: Math.max(a.max, b.max),
    averageMin: a.averageMin + (b.averageMin - a.averageMin) * weight,
    averageMax: a.averageMax + (b.averageMax - a.averageMax) * weight,
    averaged,
    histogram: mergeHistograms(a, b),
    ...mergeChannels(a, b),
  };
}

function mergeHistograms(a: AccumulatorState, b: AccumulatorState): HistogramState | null {
  // A side without values has nothing to lose.
  if (a.count === 0) return b.histogram;
  if (b.count === 0) return a.histogram;
  if (a.histogram === null || b.histogram === null) return null;
  const merged = new Histogram();
  merged.merge(a.histogram, a.min, a.max);
  merged.merge(b.histogram, b.min, b.max);
  return merged.state();
}

function mergeChannels(a: AccumulatorState, b: AccumulatorState) {
  const [left, right] = [a.channelSums, b.channelSums];
  if (left === null || right === null || left.length !== right.length) {
    return { channelSums: null, channelCount: 0 };
  }
  const channelSums = left.map((sum, i) => sum + (right[i] ?? 0));
  return { channelSums, channelCount: a.channelCount + b.channelCount };
}
