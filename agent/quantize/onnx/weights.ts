import type { LayerMoments } from '../../model/statistics.ts';
import { adaptiveWeights } from './rounding/adaptive.ts';
import type { RoundedWeights } from './rounding/adaptive.ts';
import type { NodeProto } from '../../model/onnx/generated/messages.ts';
import { intAttribute, opName } from '../../model/onnx/graph.ts';
import {
  channelMaxima,
  channelView,
  guardBias,
  quantizeBias,
  quantizeChannels,
  scaleForBias,
  smallestForBias,
  symmetricParams,
} from '../arithmetic.ts';

/** How a weight tensor connects input channels to output channels. */
export interface WeightLayout {
  readonly dims: readonly number[];
  /** The axis of the output channels. */
  readonly axis: number;
  /** Input channels that one output channel sees, and the axis they lie on. */
  readonly inputAxis: number;
  readonly groups: number;
}

export function weightLayout(node: NodeProto, dims: readonly number[]): WeightLayout {
  if (opName(node) === 'Conv') {
    return { dims, axis: 0, inputAxis: 1, groups: intAttribute(node, 'group') ?? 1 };
  }
  const transposed = opName(node) === 'Gemm' && (intAttribute(node, 'transB') ?? 0) !== 0;
  return { dims, axis: transposed ? 0 : 1, inputAxis: transposed ? 1 : 0, groups: 1 };
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
}

export interface IntegerWeights {
  readonly weights: Int8Array;
  /** One scale, or one per output channel. */
  readonly scales: Float32Array;
  readonly bias?: Int32Array;
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
  return { weights, scales, bias: made.values, biasScales };
}

/**
 * What was rounded with given moments in view: the search for a mixed version makes the same layer
 * again and again.
 */
const rounded = new WeakMap<LayerMoments, Map<string, RoundedWeights>>();

/** Rounded with the layer's inputs in view, where they are known. */
function adaptive(request: WeightRequest, scales: Float32Array): RoundedWeights | undefined {
  const { values, layout, inputScale, reduceRange, moments, bias } = request;
  const outputs = layout.dims[layout.axis] ?? 0;
  if (moments === undefined || moments.size * outputs !== values.length) return undefined;
  if (!request.perChannel) return undefined;
  const smallest = smallestForBias(bias ?? new Float32Array(outputs), inputScale);
  const limit = reduceRange ? 64 : 127;
  const hasBias = request.takesBias ?? false;
  const known = rounded.get(moments) ?? new Map<string, RoundedWeights>();
  rounded.set(moments, known);
  const { dims, axis } = layout;
  const key = [inputScale, limit, hasBias, axis, ...dims, ...scales, ...smallest].join();
  const made =
    known.get(key) ??
    adaptiveWeights({ values, layout, scales, smallest, limit, moments, hasBias, inputScale });
  known.set(key, made);
  return made;
}

/** One scale for each of the maxima, such that the biases fit in, too. */
function weightScales(
  maxima: Float64Array,
  { bias, inputScale, reduceRange }: WeightRequest,
): Float32Array {
  const plain = Float32Array.from(
    maxima,
    (largest) => symmetricParams(largest, 's8', reduceRange).scale,
  );
  if (bias === undefined) return plain;
  const worst = bias.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  const biases = plain.length === bias.length ? bias : Float32Array.of(worst);
  const scales = plain.map((scale, c) =>
    maxima[c] === 0 ? scaleForBias(biases[c] ?? 0, inputScale) : scale,
  );
  return guardBias(scales, inputScale, biases);
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
  const taps = layout.dims.slice(innerAxis + 1).reduce((a, b) => a * b, 1);
  for (let a = 0, at = 0; a < outerCount; a++) {
    for (let b = 0; b < innerCount; b++) {
      const output = layout.axis === outerAxis ? a : b;
      const input = layout.axis === outerAxis ? b : a;
      const group = Math.floor((output * layout.groups) / outputs);
      const mean = inputMean[group * inputs + input] ?? 0;
      const scale = scales[scales.length === 1 ? 0 : output] ?? 1;
      let error = 0;
      for (const end = at + taps; at < end; at++)
        error += (weights[at] ?? 0) * scale - (values[at] ?? 0);
      shift[output] = (shift[output] ?? 0) + error * mean;
    }
  }
  return Float32Array.from(shift, (value, channel) => (bias?.[channel] ?? 0) - value);
}
