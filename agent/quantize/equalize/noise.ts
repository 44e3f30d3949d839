import type { ChannelRanges } from '../../model/statistics.ts';
import { positions, sizeOf } from './layout.ts';
import type { Product } from './trace.ts';

/**
 * What rounding costs at the output of a product of 8-bit activations (one scale for the tensor) and
 * 8-bit weights (one scale per output channel), and how factors per input channel move it from one
 * to the other. With x' = x / s and W' = W s the noise power is, up to a constant,
 *   sum_oi (W_oi s_i step(x'))^2  +  sum_o step(W'_o)^2 sum_i var(x_i) / s_i^2,
 * rounding errors being uniform and independent (Widrow 1956), and those of a channel never larger
 * than the channel itself.
 */
export interface NoiseModel {
  /** Noise power for the factors of the variables. */
  readonly noise: (factorOf: (id: number) => number) => number;
  /** The largest weight that each input channel meets. */
  readonly weightMaxima: Float64Array;
}

const ACTIVATION_STEPS = 255;
const WEIGHT_STEPS = 127;
/** Variance of an error that is uniform over one step: a twelfth of the step's square. */
const PER_STEP = 12;

export interface Weights {
  readonly dims: readonly number[];
  readonly values: Float32Array;
}

export function noiseModel(product: Product, weights: Weights, ranges: ChannelRanges): NoiseModel {
  const cells = cellsOf(product, weights);
  const weightMaxima = new Float64Array(product.layout.ids.length);
  cells.largest.forEach((value, at) => {
    const channel = cells.channel[at] ?? 0;
    weightMaxima[channel] = Math.max(weightMaxima[channel] ?? 0, value);
  });
  const noise = (factorOf: (id: number) => number) =>
    noiseOf(cells, Float64Array.from(product.layout.ids, factorOf), ranges);
  return { noise, weightMaxima };
}

/** Weights as pairs of an output and an input channel, row by row; kernels are summed up. */
interface Cells {
  readonly outputs: number;
  readonly inputs: number;
  readonly energy: Float64Array;
  readonly largest: Float64Array;
  /** Input channel of each pair: with groups, a row sees only some. */
  readonly channel: Int32Array;
  readonly taps: number;
}

function noiseOf(cells: Cells, factors: Float64Array, ranges: ChannelRanges): number {
  const step = stepOf(factors, ranges);
  let noise = 0;
  for (let o = 0; o < cells.outputs; o++) {
    let [rounding, largest, power] = [0, 0, 0];
    for (let i = 0, at = o * cells.inputs; i < cells.inputs; i++, at++) {
      const channel = cells.channel[at] ?? 0;
      const factor = factors[channel] ?? 1;
      const variance = ranges.variance[channel] ?? 0;
      rounding += (cells.energy[at] ?? 0) * Math.min((step * factor) ** 2, PER_STEP * variance);
      largest = Math.max(largest, (cells.largest[at] ?? 0) * factor);
      power += variance / factor ** 2;
    }
    noise += rounding + (largest / WEIGHT_STEPS) ** 2 * power * cells.taps;
  }
  return noise;
}

/** Step of the tensor when its channels are divided by the factors. */
function stepOf(factors: Float64Array, { min, max }: ChannelRanges): number {
  let [low, high] = [0, 0];
  factors.forEach((factor, channel) => {
    low = Math.min(low, (min[channel] ?? 0) / factor);
    high = Math.max(high, (max[channel] ?? 0) / factor);
  });
  return (high - low) / ACTIVATION_STEPS;
}

function cellsOf({ outputAxis, weights, layout }: Product, { dims, values }: Weights): Cells {
  const [rows = 1, columns = 1] = dims;
  const [outputs, inputs] = outputAxis === 0 ? [rows, columns] : [columns, rows];
  const taps = sizeOf(dims.slice(2));
  const channelOf = new Map([...layout.ids].map((id, channel) => [id, channel]));
  const ids = positions(weights.dims.slice(0, 2), [rows, columns]).map(
    (at) => weights.ids[at] ?? 0,
  );
  const energy = new Float64Array(rows * columns);
  const largest = new Float64Array(rows * columns);
  const channel = new Int32Array(rows * columns);
  for (let pair = 0; pair < rows * columns; pair++) {
    const [row, column] = [Math.floor(pair / columns), pair % columns];
    const at = outputAxis === 0 ? pair : column * inputs + row;
    channel[at] = channelOf.get(ids[pair] ?? 0) ?? 0;
    for (let t = pair * taps; t < (pair + 1) * taps; t++) {
      const size = Math.abs(values[t] ?? 0);
      energy[at] = (energy[at] ?? 0) + size ** 2;
      largest[at] = Math.max(largest[at] ?? 0, size);
    }
  }
  return { outputs, inputs, energy, largest, channel, taps };
}
