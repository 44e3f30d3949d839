import { type RangesFile, rangesSchema, type TensorRanges } from '../../contracts/ranges.ts';
import { messageOf } from '../../util/errors.ts';
import type { AccumulatorState } from '../observers/accumulator.ts';
import { RangesError } from '../observers/error.ts';
import { BINS, exponentFor, type HistogramState } from '../observers/histogram.ts';
import type { Collection } from '../observers/statistics.ts';
import { packCounts, packFloats, unpackCounts, unpackFloats } from './pack.ts';

/** What was collected, and on which model. */
export interface Ranges extends Collection {
  readonly model: { readonly name: string; readonly sha256: string };
}

/** The JSON text of a ranges file (`edgefit/ranges/1`). Pure. */
export function formatRanges({ model, samples, tensors }: Ranges): string {
  const file: RangesFile = {
    schema: 'edgefit/ranges/1',
    model: { name: model.name, sha256: model.sha256 },
    samples,
    tensors: [...tensors].map(([name, state]) => toFile(name, state)),
  };
  return `${JSON.stringify(file)}\n`;
}

function toFile(name: string, state: AccumulatorState): TensorRanges {
  const { dtype, shape, samples, count, nonFinite, min, max, histogram, channelSums } = state;
  return {
    name,
    dtype,
    shape: [...shape],
    samples,
    count,
    nonFinite,
    min: count === 0 ? null : min,
    max: count === 0 ? null : max,
    average: { min: state.averageMin, max: state.averageMax, samples: state.averaged },
    histogram: histogram && { ...histogram, counts: packCounts(histogram.counts) },
    channels: channelSums && { count: state.channelCount, sums: packFloats(channelSums) },
  };
}

/** Reads the text of a ranges file. Pure; `path` only names it in errors. Throws RangesError. */
export function parseRanges(text: string, path: string): Ranges {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new RangesError('not-json', `${path}: not JSON: ${messageOf(error)}`, error);
  }
  const result = rangesSchema.safeParse(value);
  if (!result.success) {
    const [issue] = result.error.issues;
    const field = issue?.path.map(String).join('.') ?? '';
    throw new RangesError('invalid', `${path}: ${field}: ${issue?.message ?? 'not ranges'}`);
  }
  const { model, samples, tensors } = result.data;
  const states = tensors.map((tensor) => [tensor.name, fromFile(tensor, path)] as const);
  return { model, samples, tensors: new Map(states) };
}

function fromFile(tensor: TensorRanges, path: string): AccumulatorState {
  const { dtype, shape, samples, count, nonFinite, average, channels } = tensor;
  const damaged = (field: string) =>
    new RangesError('invalid', `${path}: tensor ${tensor.name}: the ${field} is damaged`);
  const channelSums = channels && unpackFloats(channels.sums);
  if (channels !== null && channelSums === null) throw damaged('list of channels');
  const histogram = tensor.histogram && readHistogram(tensor);
  if (tensor.histogram !== null && histogram === null) throw damaged('histogram');
  return {
    dtype,
    shape,
    samples,
    count,
    nonFinite,
    min: tensor.min ?? Infinity,
    max: tensor.max ?? -Infinity,
    averageMin: average.min,
    averageMax: average.max,
    averaged: average.samples,
    histogram,
    channelSums,
    channelCount: channels?.count ?? 0,
  };
}

/** Null unless the bins are exactly those that follow from the extremes and hold every value. */
function readHistogram({ histogram, min, max, count }: TensorRanges): HistogramState | null {
  if (histogram === null || min === null || max === null) return null;
  const { exponent, first } = histogram;
  const counts = unpackCounts(histogram.counts);
  const width = 2 ** -exponent;
  const fits =
    counts !== null &&
    exponent === exponentFor(min, max) &&
    first === Math.floor(min * width) &&
    counts.length === Math.floor(max * width) - first + 1 &&
    counts.length <= BINS;
  if (!fits || counts.reduce((sum, one) => sum + one, 0) !== count) return null;
  return { exponent, first, counts };
}
