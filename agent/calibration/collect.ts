import type { Feeds, Session, Tensor } from '../runtime/types.ts';
import { decodeHalf } from './float16.ts';
import { type ObserverNeeds, TensorAccumulator } from './observers/accumulator.ts';
import type { Collection } from './observers/statistics.ts';

export interface CollectOptions {
  /** Tensors to observe: inputs and outputs of the session. Integers among them are passed over. */
  readonly tensors: readonly string[];
  readonly needs: ObserverNeeds;
  /** Called after every sample with the number of samples done. */
  readonly onProgress?: ((done: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs a model on every sample and observes tensors on the way; the tensors in the middle of the
 * model must have been made outputs before. Memory: one sample's tensors, and per observed tensor
 * at most 32 KiB of histogram. Runs in a child process, like everything that runs models.
 */
export async function collect(
  session: Session,
  samples: AsyncIterable<Feeds>,
  { tensors, needs, onProgress, signal }: CollectOptions,
): Promise<Collection> {
  const accumulators = new Map<string, TensorAccumulator>();
  let done = 0;
  for await (const feeds of samples) {
    signal?.throwIfAborted();
    const outputs = await session.run(feeds);
    for (const name of tensors) {
      const tensor = valueOf(outputs, name) ?? valueOf(feeds, name);
      if (tensor !== undefined) observe(accumulators, needs, name, tensor);
    }
    done += 1;
    onProgress?.(done);
  }
  signal?.throwIfAborted();
  const states = [...accumulators].map(([name, one]) => [name, one.state()] as const);
  return { samples: done, tensors: new Map(states) };
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
  let accumulator = accumulators.get(name);
  if (accumulator === undefined) {
    accumulator = new TensorAccumulator(needs, tensor.dtype);
    accumulators.set(name, accumulator);
  }
  accumulator.add(values, tensor.shape);
}

/** Floating-point values, float16 decoded; null for everything else. */
function floatsOf({ dtype, data }: Tensor): Float32Array | Float64Array | null {
  if (data instanceof Float32Array || data instanceof Float64Array) return data;
  return dtype === 'float16' && data instanceof Uint16Array ? decodeHalf(data) : null;
}
