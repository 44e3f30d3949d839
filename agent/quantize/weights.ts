import type { LayerMoments } from '../model/statistics.ts';
import { adaptiveWeights } from './rounding/adaptive.ts';
import type { RoundedWeights } from './rounding/adaptive.ts';
import {
  channelMaxima,
  channelView,
  guardBias,
  quantizeBias,
  quantizeChannels,
  scaleForBias,
  smallestForBias,
  symmetricParams,
} from './arithmetic.ts';

/**
 * How a weight tensor connects input channels to output channels. Axes in front of both have size 1;
 * all others are taps of a kernel.
 */
export interface WeightLayout {
  readonly dims: readonly number[];
  /** The axis of the output channels. */
  readonly axis: number;
  /** Input channels that one output channel sees, and the axis they lie on. */
  readonly inputAxis: number;
  readonly groups: number;
}

export interface WeightRequest {
  readonly values: Float32Array;
  readonly layout: WeightLayout;
  /** Scale of the activation that meets these weights. */
  readonly inputScale: number;
  readonly perChannel: boolean;
  readonly reduceRange: boolean;
  readonly bias?: Float32Array | undefined;
  /** Mean of that activation per input channel; with it the bias is corrected. */
  readonly inputMean?: Float64Array | undefined;
  /** Whether the layer takes a bias: then it may be given one. */
  readonly takesBias?: boolean;
  /** What meets the weights; with it they are rounded for the sake of the output. */
  readonly moments?: LayerMoments | undefined;
  /** The bias is stored in 64 bits: no scale need be raised for it. */
  readonly wideBias?: boolean;
  /** What kernels take as a weight scale; `most` binds only channels of zeros. */
  readonly scaleBounds?: { readonly least: number; readonly most: number } | undefined;
}

export interface IntegerWeights {
  readonly weights: Int8Array;
  /** One scale, or one per output channel. */
  readonly scales: Float32Array;
  readonly bias?: Int32Array;
  /** The bias that those integers stand for, before it was rounded. */
  readonly realBias?: Float32Array;
  readonly biasScales: Float32Array;
}

/** int8 weights and their int32 bias, symmetric around zero. */
export function integerWeights(request: WeightRequest): IntegerWeights {
  const { values, layout, inputScale, perChannel } = request;
  const channels = channelView(layout.dims, layout.axis);
  const view = perChannel ? channels : { outer: 1, channels: 1, inner: values.length };
  const plain = weightScales(channelMaxima(values, view), request);
  const { weights, scales } = adaptive(request, plain) ?? {
    weights: quantizeChannels(values, view, plain),
    scales: plain,
  };
  const bias = correctedBias(request, weights, scales);
  if (bias === undefined) return { weights, scales, biasScales: new Float32Array(0) };
  const made = quantizeBias(bias, inputScale, scales);
  const biasScales = perChannel ? made.scales : made.scales.subarray(0, 1);
  return { weights, scales, bias: made.values, realBias: bias, biasScales };
}

/**
 * What was rounded with given moments in view: the search for a mixed version makes the same layer
 * again and again.
 */
const rounded = new WeakMap<LayerMoments, Map<string, RoundedWeights>>();

/** Rounded with the layer's inputs in view, where they are known. */
function adaptive(request: WeightRequest, scales: Float32Array): RoundedWeights | undefined {
  const { values, layout, inputScale, reduceRange, moments } = request;
  const outputs = layout.dims[layout.axis] ?? 0;
  if (moments === undefined || moments.size * outputs !== values.length) return undefined;
  if (!request.perChannel) return undefined;
  const bias = request.wideBias === true ? undefined : request.bias;
  const least = request.scaleBounds?.least ?? 0;
  const smallest = smallestForBias(bias ?? new Float32Array(outputs), inputScale).map((scale) =>
    Math.max(scale, least),
  );
  const limit = reduceRange ? 64 : 127;
  const hasBias = request.takesBias ?? false;
  const known = rounded.get(moments) ?? new Map<string, RoundedWeights>();
  rounded.set(moments, known);
  const floor = smallest.map((scale) => Math.max(scale, least));
  const { dims, axis } = layout;
  const key = [inputScale, limit, hasBias, axis, ...dims, ...scales, ...floor].join();
  const made =
    known.get(key) ??
    adaptiveWeights({
      values,
      layout,
      scales,
      smallest: floor,
      limit,
      moments,
      hasBias,
      inputScale,
    });
  known.set(key, made);
  return made;
}

/** One scale for each of the maxima, such that the biases fit in, too. */
function weightScales(maxima: Float64Array, request: WeightRequest): Float32Array {
  const { bias, inputScale, reduceRange, wideBias, scaleBounds } = request;
  const { least = 0, most = Infinity } = scaleBounds ?? {};
  const plain = Float32Array.from(
    maxima,
    (largest) => symmetricParams(largest, 's8', reduceRange).scale,
  );
  const worst = bias?.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0) ?? 0;
  const biases = plain.length === bias?.length ? bias : Float32Array.of(worst);
  // Any scale does for weights that are all zero.
  const scales = plain.map((scale, c) =>
    maxima[c] === 0 && bias !== undefined
      ? Math.min(scaleForBias(biases[c] ?? 0, inputScale), most)
      : Math.max(maxima[c] === 0 ? Math.min(scale, most) : scale, least),
  );
  if (bias === undefined || wideBias === true) return scales;
  return guardBias(scales, inputScale, biases).map((scale) => Math.max(scale, least));
}

/**
 * The bias minus what rounding the weights adds to the output on average: E[(q - w) x] = (q - w) E[x]
 * (Nagel et al. 2019, "Data-Free Quantization", 4.2, with means measured instead of derived). Small
 * depthwise kernels gain most: nine rounding errors do not cancel out.
 */
function correctedBias(
  { values, layout, bias, inputMean }: WeightRequest,
  weights: Int8Array,
  scales: Float32Array,
): Float32Array | undefined {
  const outputs = layout.dims[layout.axis] ?? 0;
  const inputs = layout.dims[layout.inputAxis] ?? 0;
  if (inputMean === undefined || inputMean.length !== inputs * layout.groups) return bias;
  const shift = new Float64Array(outputs);
  const [outerAxis, innerAxis] = [
    Math.min(layout.axis, layout.inputAxis),
    Math.max(layout.axis, layout.inputAxis),
  ];
  const outerCount = layout.dims[outerAxis] ?? 0;
  const innerCount = layout.dims[innerAxis] ?? 0;
  const between = elements(layout.dims.slice(outerAxis + 1, innerAxis));
  const behind = elements(layout.dims.slice(innerAxis + 1));
  let at = 0;
  for (let a = 0; a < outerCount; a++) {
    for (let step = 0; step < between * innerCount; step++) {
      const b = step % innerCount;
      const output = layout.axis === outerAxis ? a : b;
      const input = layout.axis === outerAxis ? b : a;
      const group = Math.floor((output * layout.groups) / outputs);
      const mean = inputMean[group * inputs + input] ?? 0;
      const scale = scales[scales.length === 1 ? 0 : output] ?? 1;
      let error = 0;
      for (const end = at + behind; at < end; at++)
        error += (weights[at] ?? 0) * scale - (values[at] ?? 0);
      shift[output] = (shift[output] ?? 0) + error * mean;
    }
  }
  return Float32Array.from(shift, (value, channel) => (bias?.[channel] ?? 0) - value);
}

const elements = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);
