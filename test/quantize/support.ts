import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { measureCoverage } from '../../agent/bench/coverage.ts';
import { schemePresets } from '../../agent/contracts/scheme.ts';
import type { Scheme } from '../../agent/contracts/scheme.ts';
import { exposeTensors } from '../../agent/model/onnx/expose.ts';
import type { TensorProto } from '../../agent/model/onnx/generated/messages.ts';
import type { OnnxModel } from '../../agent/model/onnx/open.ts';
import { DataType, makeTensor } from '../../agent/model/onnx/tensor.ts';
import type { Statistics, TensorStatistics } from '../../agent/model/statistics.ts';
import { tensorsToObserve } from '../../agent/quantize/onnx/static-plan.ts';
import { onnxRuntime } from '../../agent/runtime/onnxruntime.ts';
import type { Feeds, OpenOptions, Outputs, Tensor } from '../../agent/runtime/types.ts';
import { modelBytes } from '../support/onnx-models.ts';

/*
 * Models are run in this process: they are ours and small. Every session is closed again.
 */

const LOOKING: OpenOptions = { threads: 1, optimization: 'disabled', arena: false };
const PRODUCTION: OpenOptions = { threads: 1, optimization: 'all', arena: true };

export const STATIC: Scheme = schemePresets['int8-static'];
export const DYNAMIC: Scheme = schemePresets['int8-dynamic'];

async function withFile<T>(model: OnnxModel, use: (path: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'edgefit-quantize-'));
  try {
    const path = join(folder, 'model.onnx');
    await writeFile(path, modelBytes(model));
    return await use(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The outputs for each sample; `disabled` runs the graph as it is written. */
export function runAll(
  model: OnnxModel,
  samples: readonly Feeds[],
  optimization: 'disabled' | 'all' = 'all',
): Promise<Outputs[]> {
  return withFile(model, async (path) => {
    const options = optimization === 'all' ? PRODUCTION : LOOKING;
    const session = await onnxRuntime.open(path, options);
    try {
      const outputs: Outputs[] = [];
      // oxlint-disable-next-line no-await-in-loop -- one run after the other
      for (const feeds of samples) outputs.push(await session.run(feeds));
      return outputs;
    } finally {
      await session.close();
    }
  });
}

export async function run(
  model: OnnxModel,
  feeds: Feeds,
  optimization: 'disabled' | 'all' = 'all',
): Promise<Outputs> {
  const [outputs] = await runAll(model, [feeds], optimization);
  return outputs!;
}

/** The kernels that really run, sorted, each as often as it runs. */
export function kernelsOf(model: OnnxModel, feeds: Feeds): Promise<string[]> {
  return withFile(model, async (path) => {
    const { byOp } = await measureCoverage(onnxRuntime, path, feeds, { threads: 1 });
    return byOp.flatMap(({ op, count }) => Array<string>(count).fill(op)).toSorted();
  });
}

/** What calibration with the min-max observer would have found. */
export async function observe(model: OnnxModel, samples: readonly Feeds[]): Promise<Statistics> {
  const names = tensorsToObserve(model.graph);
  const outputs = await runAll(exposeTensors(model, names), samples, 'disabled');
  const tensors = new Map<string, TensorStatistics>();
  for (const name of names) {
    const seen = samples.flatMap((feeds, i) => outputs[i]?.[name] ?? feeds[name] ?? []);
    const [first] = seen;
    if (first !== undefined) tensors.set(name, statisticsOf(first, seen));
  }
  return { samples: samples.length, observer: 'min-max', tensors };
}

function statisticsOf(first: Tensor, seen: readonly Tensor[]): TensorStatistics {
  const values = seen.flatMap(({ data }) => Array.from(data as ArrayLike<number>, Number));
  const min = values.reduce((a, b) => Math.min(a, b), Infinity);
  const max = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const base = { dtype: first.dtype, shape: first.shape, min, max, seenMin: min, seenMax: max };
  if (first.shape.length < 2 || first.dtype !== 'float32') return base;
  return { ...base, channelMean: channelMean(seen, channelAxis(first.shape.length)) };
}

/** As TensorStatistics has it: axis 1 where there are more than two, else the last. */
const channelAxis = (rank: number) => (rank > 2 ? 1 : rank - 1);

function channelMean(seen: readonly Tensor[], axis: number): Float64Array {
  const channels = seen[0]!.shape[axis]!;
  const sums = new Float64Array(channels);
  let count = 0;
  for (const { shape, data } of seen) {
    const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    floats(data).forEach((value, i) => {
      sums[Math.floor(i / inner) % channels]! += value;
    });
    count += data.length / channels;
  }
  return sums.map((sum) => sum / count);
}

/** Ranges as a test says them; no channel means, so that no bias is corrected. */
export function ranges(
  given: Readonly<Record<string, readonly [min: number, max: number]>>,
): Statistics {
  const tensors = new Map<string, TensorStatistics>();
  for (const [name, [min, max]] of Object.entries(given)) {
    tensors.set(name, { dtype: 'float32', shape: [], min, max, seenMin: min, seenMax: max });
  }
  return { samples: 1, observer: 'min-max', tensors };
}

/** A reproducible source of numbers in [-1, 1) (mulberry32). */
export function randoms(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}

export const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

export function randomValues(next: () => number, count: number, scale = 1): Float32Array {
  return Float32Array.from({ length: count }, () => next() * scale);
}

export function randomTensor(next: () => number, shape: readonly number[], scale = 1): Tensor {
  return { dtype: 'float32', shape, data: randomValues(next, sizeOf(shape), scale) };
}

/** A float32 initializer. */
export function weights(
  name: string,
  dims: readonly number[],
  values: Float32Array | readonly number[],
): TensorProto {
  return makeTensor(name, DataType.FLOAT, dims, Float32Array.from(values));
}

export function floats(data: Tensor['data'] | undefined): Float32Array {
  if (!(data instanceof Float32Array)) throw new Error('expected float32 values');
  return data;
}

/** The largest difference, relative to the largest value. */
export function relativeError(reference: Float32Array, other: Float32Array): number {
  if (reference.length !== other.length) return Infinity;
  let largest = 1e-30;
  let difference = 0;
  reference.forEach((value, i) => {
    largest = Math.max(largest, Math.abs(value));
    const error = Math.abs(value - other[i]!);
    difference = error <= difference ? difference : error;
  });
  return difference / largest;
}

/** Signal to noise in dB: 10 log10(sum ref^2 / sum (ref - x)^2). */
export function sqnr(reference: Float32Array, other: Float32Array): number {
  let signal = 0;
  let noise = 0;
  reference.forEach((value, i) => {
    signal += value ** 2;
    noise += (value - other[i]!) ** 2;
  });
  return noise === 0 ? Infinity : 10 * Math.log10(signal / noise);
}
