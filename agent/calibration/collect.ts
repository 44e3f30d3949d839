import { readSummary } from '../model/onnx/reduce.ts';
import type { Reduction } from '../model/onnx/reduce.ts';
import type { Feeds, Outputs, Session, Tensor } from '../runtime/types.ts';
import { decodeHalf } from './float16.ts';
import { type ObserverNeeds, TensorAccumulator } from './observers/accumulator.ts';
import type { Collection } from './observers/statistics.ts';

export interface CollectOptions {
  /** Tensors to observe: inputs and outputs of the session. Integers among them are passed over. */
  readonly tensors: readonly string[];
  /** Tensors of which the session gives a summary only (`reduceTensors`); for histograms, with values. */
  readonly reduced?: ReducedTensors | undefined;
  readonly needs: ObserverNeeds;
  /** Called after every sample with the number of samples done. */
  readonly onProgress?: ((done: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ReducedTensors {
  /** The output that holds the summary. */
  readonly summary: string;
  readonly reductions: readonly Reduction[];
}

export interface Collected extends Collection {
  /**
   * Reduced tensors that a summary says too little about: values that are not finite. They are not
   * among `tensors`, and have to be looked at themselves.
   */
  readonly odd: readonly string[];
}

/**
 * Runs a model on every sample and observes tensors on the way; the tensors in the middle of the
 * model, or their reductions, must have been made outputs before. Memory: one sample's tensors, and
 * per observed tensor at most 32 KiB of histogram. Ends after the first sample when that already has
 * odd tensors. Runs in a child process, like everything that runs models.
 */
export async function collect(
  session: Session,
  samples: AsyncIterable<Feeds>,
  { tensors, reduced, needs, onProgress, signal }: CollectOptions,
): Promise<Collected> {
  const accumulators = new Map<string, TensorAccumulator>();
  const odd = new Set<string>();
  let done = 0;
  for await (const feeds of samples) {
    signal?.throwIfAborted();
    const outputs = await session.run(feeds);
    for (const name of tensors) {
      const tensor = valueOf(outputs, name) ?? valueOf(feeds, name);
      if (tensor !== undefined) observe(accumulators, needs, name, tensor);
    }
    if (reduced !== undefined) {
      for (const name of addSummaries(accumulators, needs, reduced, outputs)) odd.add(name);
    }
    done += 1;
    if (done === 1 && odd.size > 0) break;
    onProgress?.(done);
  }
  signal?.throwIfAborted();
  for (const name of odd) accumulators.delete(name);
  const states = [...accumulators].map(([name, one]) => [name, one.state()] as const);
  return { samples: done, tensors: new Map(states), odd: [...odd] };
}

/** The feeds of samples, for `collect`. */
export async function* feedsOf(
  samples: AsyncIterable<{ readonly feeds: Feeds }>,
): AsyncGenerator<Feeds> {
  for await (const { feeds } of samples) yield feeds;
}

function valueOf(tensors: Readonly<Record<string, Tensor>>, name: string): Tensor | undefined {
  return Object.hasOwn(tensors, name) ? tensors[name] : undefined;
}

function observe(
  accumulators: Map<string, TensorAccumulator>,
  needs: ObserverNeeds,
  name: string,
  tensor: Tensor,
): void {
  const values = floatsOf(tensor);
  if (values === null) return;
  accumulatorOf(accumulators, needs, name, tensor.dtype).add(values, tensor.shape);
}

function accumulatorOf(
  accumulators: Map<string, TensorAccumulator>,
  needs: ObserverNeeds,
  name: string,
  dtype: string,
): TensorAccumulator {
  const found = accumulators.get(name) ?? new TensorAccumulator(needs, dtype);
  accumulators.set(name, found);
  return found;
}

/** Adds what the summary says; returns the tensors of which it says that values are not finite. */
function addSummaries(
  accumulators: Map<string, TensorAccumulator>,
  needs: ObserverNeeds,
  { summary, reductions }: ReducedTensors,
  outputs: Outputs,
): readonly string[] {
  const odd: string[] = [];
  const found = valueOf(outputs, summary)?.data;
  const values = found instanceof Float32Array ? found : new Float32Array();
  for (const [index, { shape, ...one }] of readSummary(values, reductions).entries()) {
    const name = reductions[index]?.tensor ?? '';
    // A NaN or an infinite value always shows in the mean, also one that the runtime's minimum and
    // maximum pass over.
    if (!one.mean.every(Number.isFinite)) {
      odd.push(name);
      continue;
    }
    const count = shape.reduce((product, size) => product * size, 1);
    accumulatorOf(accumulators, needs, name, 'float32').addSummary({ ...one, count }, shape);
  }
  return odd;
}

/** Floating-point values, float16 decoded; null for everything else. */
function floatsOf(tensor: Tensor | undefined): Float32Array | Float64Array | null {
  if (tensor === undefined) return null;
  const { dtype, data } = tensor;
  if (data instanceof Float32Array || data instanceof Float64Array) return data;
  return dtype === 'float16' && data instanceof Uint16Array ? decodeHalf(data) : null;
}
