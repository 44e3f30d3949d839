/**
 * Affine quantization as onnxruntime computes it: real = (q - zeroPoint) * scale, with the scale in
 * float32 and halves rounded to even (ONNX operator QuantizeLinear).
 */

export type QuantType = 'u8' | 's8' | 's16';

export interface QuantParams {
  readonly type: QuantType;
  /** A float32 value. */
  readonly scale: number;
  readonly zeroPoint: number;
}

interface Limits {
  readonly min: number;
  readonly max: number;
}

/** All values a type can hold. */
export const FULL_RANGE: Readonly<Record<QuantType, Limits>> = {
  u8: { min: 0, max: 255 },
  s8: { min: -128, max: 127 },
  s16: { min: -32768, max: 32767 },
};

/** Symmetric ranges leave out the value that has no opposite; 7 bits where sums would saturate. */
const SYMMETRIC_LIMIT: Readonly<Record<'s8' | 's16', number>> = { s8: 127, s16: 32767 };
const REDUCED_LIMIT = 64;

/** Below this a float32 scale is subnormal and its reciprocal infinite. */
const SMALLEST_SCALE = 2 ** -126;

const isUsable = (scale: number) => scale >= SMALLEST_SCALE && scale < Infinity;

/** Rounds halves to even, as the IEEE default and QuantizeLinear do. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest < 0.5) return floor;
  if (rest > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Scale and zero point so that [min, max], widened to hold zero, fills the type. */
export function affineParams(min: number, max: number, type: QuantType): QuantParams {
  if (type === 's16') return symmetricParams(Math.max(Math.abs(min), Math.abs(max)), 's16');
  const low = Math.min(min, 0);
  const high = Math.max(max, 0);
  const limits = FULL_RANGE[type];
  const scale = (high - low) / (limits.max - limits.min);
  if (!isUsable(scale)) return { type, scale: 1, zeroPoint: 0 };
  const zeroPoint = roundHalfEven(limits.min - low / scale);
  return { type, scale: Math.fround(scale), zeroPoint: clamp(zeroPoint, limits) };
}

/** Scale for values in [-largest, largest]; the zero point is 0. */
export function symmetricParams(
  largest: number,
  type: 's8' | 's16',
  reduceRange = false,
): QuantParams {
  const limit = reduceRange ? REDUCED_LIMIT : SYMMETRIC_LIMIT[type];
  const scale = Math.fround(largest / limit);
  return { type, scale: isUsable(scale) ? scale : 1, zeroPoint: 0 };
}

/** Of the 31 bits of a bias; the others are room for products that it may yet be added to. */
const BIAS_BITS = 24;

/**
 * Weight scale of a channel whose weights are all zero: any scale does for them, but the bias is
 * stored in steps of input scale * weight scale, and 1 would be far too coarse.
 */
export function scaleForBias(bias: number, inputScale: number): number {
  const scale = Math.fround(Math.abs(bias) / (inputScale * 2 ** BIAS_BITS));
  return isUsable(scale) ? scale : 1;
}

/** The real values at both ends of the type. */
export function representable({ type, scale, zeroPoint }: QuantParams): Limits {
  const { min, max } = FULL_RANGE[type];
  return { min: (min - zeroPoint) * scale, max: (max - zeroPoint) * scale };
}

function clamp(value: number, { min, max }: Limits): number {
  return Math.min(Math.max(value, min), max);
}

/** A weight tensor as [outer, channels, inner] around the axis that carries the channels. */
export interface ChannelView {
  readonly outer: number;
  readonly channels: number;
  readonly inner: number;
}

const elements = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);

export function channelView(dims: readonly number[], axis: number): ChannelView {
  return {
    outer: elements(dims.slice(0, axis)),
    channels: dims[axis] ?? 1,
    inner: elements(dims.slice(axis + 1)),
  };
}

/** Largest magnitude in each channel; NaN counts as 0. */
export function channelMaxima(values: Float32Array, view: ChannelView): Float64Array {
  const maxima = new Float64Array(view.channels);
  for (let o = 0, at = 0; o < view.outer; o++) {
    for (let c = 0; c < view.channels; c++) {
      let largest = maxima[c] ?? 0;
      for (const end = at + view.inner; at < end; at++) {
        const size = Math.abs(values[at] ?? 0);
        if (size > largest) largest = size;
      }
      maxima[c] = largest;
    }
  }
  return maxima;
}

/** q = clamp(round(w / scale[channel])) in int8, symmetric. */
export function quantizeChannels(
  values: Float32Array,
  view: ChannelView,
  scales: Float32Array,
): Int8Array {
  const result = new Int8Array(values.length);
  for (let o = 0, at = 0; o < view.outer; o++) {
    for (let c = 0; c < view.channels; c++) {
      const scale = scales[c] ?? 1;
      for (const end = at + view.inner; at < end; at++) {
        const q = roundHalfEven(Math.fround((values[at] ?? 0) / scale));
        result[at] = q > 127 ? 127 : q < -128 ? -128 : q;
      }
    }
  }
  return result;
}

const INT32_MAX = 2 ** 31 - 1;

/** The smallest weight scale of each channel with which its bias fits int32. */
export function smallestForBias(bias: Float32Array, inputScale: number): Float32Array {
  return bias.map((value) => (1.0001 * Math.abs(value)) / INT32_MAX / inputScale);
}

/**
 * Weight scales large enough that each bias fits int32 at scale input * weight: a channel of nearly
 * zero weights would otherwise overflow its bias (quantization conventions of onnxruntime 1.23).
 */
export function guardBias(
  weightScales: Float32Array,
  inputScale: number,
  bias: Float32Array,
): Float32Array {
  return weightScales.map((scale, channel) => {
    const smallest = (1.0001 * Math.abs(bias[channel] ?? 0)) / INT32_MAX;
    const product = scale * inputScale;
    return product < smallest ? Math.fround((scale * smallest) / product) : scale;
  });
}

/** int32 bias at scale input * weight[channel]. */
export function quantizeBias(
  bias: Float32Array,
  inputScale: number,
  weightScales: Float32Array,
): { readonly values: Int32Array; readonly scales: Float32Array } {
  const scales = Float32Array.from(bias, (_, c) => inputScale * scaleOf(weightScales, c));
  const values = Int32Array.from(bias, (value, c) => {
    const q = roundHalfEven(value / scaleOf(scales, c));
    return Math.min(Math.max(q, -INT32_MAX), INT32_MAX);
  });
  return { values, scales };
}

/** One scale for all channels, or one each. */
function scaleOf(scales: Float32Array, channel: number): number {
  return (scales.length === 1 ? scales[0] : scales[channel]) ?? 1;
}
