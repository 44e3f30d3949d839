import type { ChannelRanges } from '../model/statistics.ts';
import type { Feeds, Outputs, Session, Tensor } from '../runtime/types.ts';

/** A tensor whose channels lie along an axis. */
export interface ChannelTarget {
  readonly name: string;
  readonly axis: number;
}

/**
 * The shapes of a model's inputs and outputs over a few samples; what changes its shape from one
 * sample to the next is left out.
 */
export async function collectShapes(
  session: Session,
  samples: AsyncIterable<Feeds>,
  most: number,
): Promise<Map<string, readonly number[]>> {
  const shapes = new Map<string, readonly number[]>();
  const changing = new Set<string>();
  let done = 0;
  for await (const feeds of samples) {
    const outputs = await session.run(feeds);
    for (const [name, { shape }] of Object.entries({ ...feeds, ...outputs })) {
      const before = shapes.get(name);
      if (before !== undefined && before.join() !== shape.join()) changing.add(name);
      shapes.set(name, shape);
    }
    done += 1;
    if (done === most) break;
  }
  for (const name of changing) shapes.delete(name);
  return shapes;
}

/**
 * Ranges and variances of the channels of some outputs, over at most `most` samples. Tensors that
 * are not float32, whose channels change in number, or that had a NaN are left out. Memory: one
 * sample's tensors.
 */
export async function collectChannelRanges(
  session: Session,
  samples: AsyncIterable<Feeds>,
  options: {
    readonly targets: readonly ChannelTarget[];
    readonly most: number;
    readonly onProgress?: ((done: number) => void) | undefined;
  },
): Promise<Map<string, ChannelRanges>> {
  const states = new Map<string, ChannelState>();
  let done = 0;
  for await (const feeds of samples) {
    const outputs = await session.run(feeds);
    for (const target of options.targets) observe(states, target, outputs);
    done += 1;
    options.onProgress?.(done);
    if (done === options.most) break;
  }
  return new Map(
    [...states].flatMap(([name, state]) => {
      const ranges = state.ranges();
      return ranges === undefined ? [] : [[name, ranges] as const];
    }),
  );
}

function observe(
  states: Map<string, ChannelState>,
  { name, axis }: ChannelTarget,
  outputs: Outputs,
): void {
  const tensor = Object.hasOwn(outputs, name) ? outputs[name] : undefined;
  if (tensor === undefined) return;
  const state = states.get(name) ?? new ChannelState(tensor.shape[axis] ?? 0);
  states.set(name, state);
  state.add(tensor, axis);
}

/** What is known about the channels of one tensor. */
class ChannelState {
  readonly #min: Float64Array;
  readonly #max: Float64Array;
  readonly #sum: Float64Array;
  readonly #squares: Float64Array;
  /** Values of each channel. */
  #count = 0;
  #usable = true;

  constructor(channels: number) {
    this.#min = new Float64Array(channels).fill(Infinity);
    this.#max = new Float64Array(channels).fill(-Infinity);
    this.#sum = new Float64Array(channels);
    this.#squares = new Float64Array(channels);
  }

  add({ shape, data }: Tensor, axis: number): void {
    const channels = this.#min.length;
    if (!(data instanceof Float32Array) || shape[axis] !== channels) this.#usable = false;
    if (!this.#usable || !(data instanceof Float32Array)) return;
    const inner = shape.slice(axis + 1).reduce((product, dim) => product * dim, 1);
    for (let at = 0, channel = 0; at < data.length; at += inner) {
      this.#addRow(data.subarray(at, at + inner), channel);
      channel = channel + 1 === channels ? 0 : channel + 1;
    }
    this.#count += data.length / channels;
  }

  #addRow(values: Float32Array, channel: number): void {
    let min = this.#min[channel] ?? 0;
    let max = this.#max[channel] ?? 0;
    let [sum, squares] = [0, 0];
    for (const value of values) {
      if (value < min) min = value;
      if (value > max) max = value;
      sum += value;
      squares += value * value;
    }
    this.#min[channel] = min;
    this.#max[channel] = max;
    this.#sum[channel] = (this.#sum[channel] ?? 0) + sum;
    this.#squares[channel] = (this.#squares[channel] ?? 0) + squares;
  }

  ranges(): ChannelRanges | undefined {
    const variance = this.#squares.map((squares, channel) => {
      const mean = (this.#sum[channel] ?? 0) / this.#count;
      return Math.max(squares / this.#count - mean ** 2, 0);
    });
    const finite = variance.every((value) => Number.isFinite(value));
    if (!this.#usable || this.#count === 0 || !finite) return undefined;
    return { min: this.#min, max: this.#max, variance };
  }
}
