import { bytesOf } from '../../model/bytes.ts';
import { layerKey } from '../../model/statistics.ts';
import type { LayerMoments, Statistics } from '../../model/statistics.ts';
import { tensorNameMaker } from '../../model/tflite/graph.ts';
import { uniqueTensorNames } from '../../model/tflite/tensor-names.ts';
import { floatData } from '../../model/tflite/tensor.ts';
import { makeTensor } from '../../model/tflite/types.ts';
import type { TfliteGraph, TfliteOperator, TfliteTensor } from '../../model/tflite/types.ts';

/** A larger filter, and where the taps of a smaller one stand in it. */
export interface Frame {
  readonly height: number;
  readonly width: number;
  readonly top: number;
  readonly left: number;
}

/** Puts filters into larger ones, and carries along what is known of what meets their weights. */
export class FilterEnlarger {
  readonly #graph: TfliteGraph;
  readonly #statistics: Statistics;
  readonly #names: readonly string[];
  readonly #unique: (wish: string) => string;
  readonly #tensors: TfliteTensor[];
  readonly #layers: Map<string, LayerMoments>;

  constructor(graph: TfliteGraph, statistics: Statistics) {
    this.#graph = graph;
    this.#statistics = statistics;
    this.#names = uniqueTensorNames(graph);
    this.#unique = tensorNameMaker(graph);
    this.#tensors = [...graph.tensors];
    this.#layers = new Map(statistics.layers);
  }

  /**
   * The inputs of a convolution with its filter in a frame.
   * @param input what it reads with that filter
   */
  inputsOf({ inputs }: TfliteOperator, frame: Frame, input = inputs[0] ?? -1): readonly number[] {
    const [x = -1, w = -1, ...rest] = inputs;
    const filter = this.#graph.tensors[w];
    if (filter === undefined) return inputs;
    const name = this.#unique(`${filter.name}_${frame.height}x${frame.width}`);
    const moments = this.#layers.get(this.#keyOf(x, this.#names[w] ?? ''));
    if (moments !== undefined) {
      this.#layers.set(this.#keyOf(input, name), enlargeMoments(moments, filter.shape, frame));
    }
    return [input, this.#tensors.push(enlargeFilter(filter, frame, name)) - 1, ...rest];
  }

  /** What the graph's tensors are now, and what is known of them. */
  finish(): { readonly tensors: readonly TfliteTensor[]; readonly statistics: Statistics } {
    const { layers } = this.#statistics;
    const known = layers === undefined ? {} : { layers: this.#layers };
    return { tensors: this.#tensors, statistics: { ...this.#statistics, ...known } };
  }

  #keyOf(input: number, filter: string): string {
    return layerKey(this.#names[input] ?? '', filter);
  }
}

/** A float32 filter, [count, height, width, channels], with taps of zeros around its own. */
function enlargeFilter(filter: TfliteTensor, frame: Frame, name: string): TfliteTensor {
  const [count = 0, height = 0, width = 0, channels = 0] = filter.shape;
  const from = floatData(filter);
  const values = new Float32Array(count * frame.height * frame.width * channels);
  for (let row = 0; row < count * height; row++) {
    const taken = from.subarray(row * width * channels, (row + 1) * width * channels);
    const to = Math.floor(row / height) * frame.height + frame.top + (row % height);
    values.set(taken, (to * frame.width + frame.left) * channels);
  }
  const shape = [count, frame.height, frame.width, channels];
  return makeTensor({ name, type: 'FLOAT32', shape, data: bytesOf(values) });
}

/**
 * What meets the weights of such a filter, from what meets those of the smaller one. New taps are zeros,
 * exact in integers, whatever meets them: they are said to meet what is unlike all else, as variable as
 * the others are on average, so that these are rounded as they would be without.
 * @param shape of the smaller filter
 */
function enlargeMoments(known: LayerMoments, shape: readonly number[], frame: Frame): LayerMoments {
  const { groups, size } = known;
  const { places, larger } = placesIn(frame, shape, size);
  const mean = new Float64Array(groups * larger);
  for (const [k, value] of known.mean.entries()) {
    mean[Math.floor(k / size) * larger + (places[k % size] ?? 0)] = value;
  }
  const covariance = new Float32Array(groups * larger * larger);
  const area = known.covariance.length / groups;
  for (let group = 0; group < groups; group++) {
    const from = known.covariance.subarray(group * area, (group + 1) * area);
    const into = covariance.subarray(group * larger * larger, (group + 1) * larger * larger);
    spread(from, known.block, places, into, larger);
  }
  // One block, of which nothing is known together that was in blocks of its own.
  return { ...known, size: larger, block: larger, mean, covariance };
}

/** Where each of an output channel's weights goes, and among how many. */
function placesIn(frame: Frame, [, height = 1, width = 1]: readonly number[], size: number) {
  const each = size / (height * width);
  const places = Int32Array.from({ length: size }, (_, k) => {
    const tap = Math.floor(k / each);
    const row = frame.top + Math.floor(tap / width);
    return (row * frame.width + frame.left + (tap % width)) * each + (k % each);
  });
  return { places, larger: frame.height * frame.width * each };
}

/** Writes the covariances of one group, block by block, and what stands for those of new taps. */
function spread(
  from: Float32Array,
  block: number,
  places: Int32Array,
  into: Float32Array,
  larger: number,
): void {
  let at = 0;
  for (let start = 0; start < places.length; start += block) {
    const within = places.subarray(start, start + block);
    for (const i of within) for (const j of within) into[i * larger + j] = from[at++] ?? 0;
  }
  const variance = places.reduce((sum, k) => sum + (into[k * larger + k] ?? 0), 0) / places.length;
  const taken = new Set(places);
  for (let k = 0; k < larger; k++) if (!taken.has(k)) into[k * larger + k] = variance;
}
