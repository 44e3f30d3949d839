import type { LayerMoments } from '../../model/statistics.ts';
import { roundHalfEven } from '../arithmetic.ts';
import type { WeightLayout } from '../weights.ts';
import { type Factor, closest, factor, nearestPlane, quadraticError } from './lattice.ts';
import { polish } from './polish.ts';

export interface AdaptiveRequest {
  readonly values: Float32Array;
  readonly layout: WeightLayout;
  /** Scales that nearest rounding would use; those of adaptive rounding are at most as large. */
  readonly scales: Float32Array;
  /** Scales must not fall below these. */
  readonly smallest: Float32Array;
  /** The largest integer: 127, or 64 for 7-bit weights. */
  readonly limit: number;
  readonly moments: LayerMoments;
  /** Whether a bias takes up the mean error; without, the mean counts as error, too. */
  readonly hasBias: boolean;
  /** Step of the integers that the weights meet: their rounding error is noise in the input. */
  readonly inputScale: number;
}

export interface RoundedWeights {
  readonly weights: Int8Array;
  readonly scales: Float32Array;
}

/** Kernels up to this size are solved to the optimum or nearly so, with a fine search for the scale. */
const SMALL = 16;
const VISITS = 400;
/** How much smaller than the largest weight asks for a scale may be. */
const FINE_SHRINKS = [1, 0.985, 0.97, 0.955, 0.94, 0.92, 0.9, 0.875, 0.85, 0.8];
const COARSE_SHRINKS = [1, 0.97, 0.94, 0.9, 0.86, 0.82, 0.77, 0.72];
/**
 * Share of the mean variance that is added to every variance. Far more than GPTQ's hundredth: the
 * layers in front are quantized, too, and what they add is alike in all directions.
 */
const DAMPING = 0.5;
/** Rows per weight at which half of what is seen between two weights is believed. */
const ROWS_FOR_HALF_TRUST = 0.1;

/**
 * int8 weights, and their scales, that keep the layer's output, not the weights, close: minimizes
 * E[((s q - w) x)^2] per output channel over the moments of the input x. The error measured so is
 * never above that of rounding to nearest.
 */
export function adaptiveWeights(request: AdaptiveRequest): RoundedWeights {
  const { layout, scales, moments } = request;
  const outputs = layout.dims[layout.axis] ?? 1;
  const made = { weights: new Int8Array(request.values.length), scales: scales.slice() };
  const perGroup = outputs / moments.groups;
  for (let group = 0; group < moments.groups; group++) {
    const blocks = blocksOf(request, group);
    for (let c = group * perGroup; c < (group + 1) * perGroup; c++) {
      roundChannel(request, c, blocks, made);
    }
  }
  return made;
}

interface Block {
  /** Position of its first weight within the channel. */
  readonly start: number;
  /** Its weights in the order of `matrix` and `factor`: those that matter most come last. */
  readonly order: Int32Array;
  readonly matrix: Float64Array;
  readonly factor: Factor;
}

function blocksOf({ moments, hasBias, inputScale }: AdaptiveRequest, group: number): Block[] {
  const { size, block, covariance, mean } = moments;
  const blocks: Block[] = [];
  let at = group * groupArea(size, block);
  for (let start = 0; start < size; start += block) {
    const width = Math.min(block, size - start);
    const first = group * size + start;
    const full = Float64Array.from(covariance.subarray(at, at + width * width));
    if (!hasBias) addMeans(full, mean.subarray(first, first + width));
    blocks.push(makeBlock(start, damped(full, width, moments.count, inputScale), width));
    at += width * width;
  }
  return blocks;
}

/** Entries that the covariances of one group take. */
export function groupArea(size: number, block: number): number {
  const rest = size % block;
  return Math.floor(size / block) * block * block + rest * rest;
}

function addMeans(matrix: Float64Array, mean: Float64Array): void {
  const { length } = mean;
  for (let i = 0; i < length; i++) {
    for (let j = 0; j < length; j++) {
      matrix[i * length + j] = (matrix[i * length + j] ?? 0) + (mean[i] ?? 0) * (mean[j] ?? 0);
    }
  }
}

function damped(
  matrix: Float64Array,
  size: number,
  count: number,
  inputScale: number,
): Float64Array {
  let trace = 0;
  for (let k = 0; k < size; k++) trace += matrix[k * size + k] ?? 0;
  // Few rows tell variances well, but not yet how weights go together.
  const trust = count / (count + ROWS_FOR_HALF_TRUST * size);
  const noise = (DAMPING * trace) / size + (inputScale * inputScale) / 12;
  return matrix.map((value, at) => (at % (size + 1) === 0 ? value + noise : value * trust));
}

function makeBlock(start: number, plain: Float64Array, size: number): Block {
  const variance = (k: number) => plain[k * size + k] ?? 0;
  const order = Int32Array.from({ length: size }, (_, k) => k).toSorted(
    (a, b) => variance(a) - variance(b) || a - b,
  );
  const matrix = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    const from = (order[i] ?? 0) * size;
    for (let j = 0; j < size; j++) matrix[i * size + j] = plain[from + (order[j] ?? 0)] ?? 0;
  }
  return { start, order, matrix, factor: factor(matrix, size) };
}

/** Where the weights of one output channel lie. */
function placesOf({ layout, moments }: AdaptiveRequest, channel: number) {
  const outputs = layout.dims[layout.axis] ?? 1;
  return layout.axis === 0
    ? { first: channel * moments.size, step: 1 }
    : { first: channel, step: outputs };
}

function roundChannel(
  request: AdaptiveRequest,
  channel: number,
  blocks: readonly Block[],
  made: RoundedWeights,
): void {
  const { values, scales, limit, smallest } = request;
  const { first, step } = placesOf(request, channel);
  const plain = scales[channel] ?? 1;
  const parts = blocks.map(({ start, order }) =>
    Float64Array.from(order, (k) => values[first + (start + k) * step] ?? 0),
  );
  const scale = chooseScale(blocks, parts, limit, plain, smallest[channel] ?? 0);
  made.scales[channel] = scale;
  let better = 0;
  const adaptive = blocks.map((block, b) => solve(block, parts[b] ?? NOTHING, scale, limit));
  const nearest = blocks.map((block, b) => nearestOf(block, parts[b] ?? NOTHING, plain, limit));
  for (const [b, one] of adaptive.entries()) better += (nearest[b]?.error ?? 0) - one.error;
  const taken = better >= 0 ? adaptive : nearest;
  if (better < 0) made.scales[channel] = plain;
  for (const [b, { order, start }] of blocks.entries()) {
    const q = taken[b]?.q ?? NOTHING;
    order.forEach((k, i) => {
      made.weights[first + (start + k) * step] = q[i] ?? 0;
    });
  }
}

const NOTHING = new Float64Array(0);

interface Solved {
  readonly q: Float64Array;
  /** In units of the output. */
  readonly error: number;
}

function solve(
  { matrix, factor: parts }: Block,
  w: Float64Array,
  scale: number,
  limit: number,
): Solved {
  const { size } = parts;
  const target = { weights: w.map((value) => value / scale), limit };
  const q = new Float64Array(size);
  let error = nearestPlane(parts, target, q);
  if (size <= SMALL) error = closest(parts, target, q, error, VISITS);
  else error -= polish(matrix, size, target, q);
  return { q, error: error * scale * scale };
}

function nearestOf(
  { factor: parts }: Block,
  w: Float64Array,
  scale: number,
  limit: number,
): Solved {
  const q = w.map((value) => nearestInteger(value, scale, limit));
  const error = q.map((value, k) => value * scale - (w[k] ?? 0));
  return { q, error: quadraticError(parts, error) };
}

function nearestInteger(value: number, scale: number, limit: number): number {
  return Math.max(-limit, Math.min(limit, roundHalfEven(Math.fround(value / scale))));
}

/** The scale with the least error: truly searched for small kernels, estimated for others. */
function chooseScale(
  blocks: readonly Block[],
  parts: readonly Float64Array[],
  limit: number,
  plain: number,
  smallest: number,
): number {
  const [only] = blocks;
  const small = blocks.length === 1 && only !== undefined && only.factor.size <= SMALL;
  let best = plain;
  let least = Infinity;
  for (const shrink of small ? FINE_SHRINKS : COARSE_SHRINKS) {
    const scale = Math.fround(plain * shrink);
    if (scale < smallest) break;
    const error = small
      ? solve(only, parts[0] ?? NOTHING, scale, limit).error
      : estimate(blocks, parts, scale, limit);
    if (error < least) {
      least = error;
      best = scale;
    }
  }
  return best;
}

/** Nearest rounding, each weight's error counted as if the ones after it had made up for theirs. */
function estimate(
  blocks: readonly Block[],
  parts: readonly Float64Array[],
  scale: number,
  limit: number,
): number {
  let sum = 0;
  for (const [b, { factor: one }] of blocks.entries()) {
    const w = parts[b] ?? NOTHING;
    for (let k = 0; k < w.length; k++) {
      const value = w[k] ?? 0;
      const error = nearestInteger(value, scale, limit) * scale - value;
      sum += (one.d[k] ?? 0) * error * error;
    }
  }
  return sum;
}
