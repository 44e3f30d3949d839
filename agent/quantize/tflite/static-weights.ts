import { floatData } from '../../model/tflite/tensor.ts';
import { makeQuantization, makeTensor } from '../../model/tflite/types.ts';
import type { TfliteOperator, TfliteTensor } from '../../model/tflite/types.ts';
import { layerKey } from '../../model/statistics.ts';
import { integerWeights } from '../weights.ts';
import type { IntegerWeights, WeightLayout } from '../weights.ts';
import type { OpRule, WeightPlace } from './op-table.ts';
import { weightScaleBounds } from './scale-limits.ts';
import { bytesOf } from './tensor-bytes.ts';
import { statisticsOf } from './units.ts';
import type { Given, IntegerUnit } from './units.ts';

/** Weights and bias of a unit in integers. */
export interface StaticWeights {
  readonly weights: TfliteTensor;
  /** Absent where the operator goes without. */
  readonly bias?: TfliteTensor | undefined;
}

export interface WeightForm {
  readonly place: WeightPlace;
  readonly perChannel: boolean;
  /** Even one of zeros. */
  readonly needsBias: boolean;
}

export interface WeightContext extends WeightForm {
  readonly given: Given;
  readonly inputScale: number;
  readonly outputScale: number;
}

/** How the weights of an operator lie. */
export function weightLayout(
  { weights: place, data }: OpRule,
  operator: TfliteOperator,
  given: Pick<Given, 'graph'>,
): WeightLayout | undefined {
  const weights = place && given.graph.tensors[operator.inputs[place.input] ?? -1];
  if (place === undefined || weights === undefined) return undefined;
  const { axis, inputAxis } = place;
  const seen = weights.shape[inputAxis] ?? 1;
  const input = given.graph.tensors[operator.inputs[data === 'all' ? 0 : (data[0] ?? 0)] ?? -1];
  const channels = input?.shape.at(-1) ?? seen;
  const isDense = operator.op === 'FULLY_CONNECTED' || operator.op === 'TRANSPOSE_CONV';
  const groups = isDense || channels < seen ? 1 : Math.floor(channels / seen);
  return { dims: weights.shape, axis, inputAxis, groups };
}

/**
 * int8 weights within [-127, 127] and a bias at scale input * weight, of 32 bits, or of 64 beside
 * 16-bit activations (TensorFlow Lite 8-bit quantization specification, and its 16x8 mode).
 */
export function staticWeights(
  { operator, rule, inputs: [input = -1] }: IntegerUnit,
  { place, given, perChannel, needsBias, inputScale, outputScale }: WeightContext,
): StaticWeights {
  const { graph, names, scheme, statistics, type } = given;
  const at = operator.inputs[place.input] ?? -1;
  const [weights, bias] = [graph.tensors[at], graph.tensors[operator.inputs[place.bias] ?? -1]];
  const layout = weightLayout(rule, operator, given);
  if (weights === undefined || layout === undefined)
    throw new Error(`no weights for ${operator.op}`);
  const made = integerWeights({
    values: floatData(weights),
    layout,
    inputScale,
    perChannel,
    reduceRange: scheme.reduceRange,
    bias: bias === undefined ? undefined : floatData(bias),
    inputMean: statisticsOf(given, input)?.channelMean,
    takesBias: true,
    moments: statistics.layers?.get(layerKey(names[input] ?? '', names[at] ?? '')),
    wideBias: type === 's16',
    scaleBounds: weightScaleBounds(inputScale, outputScale),
  });
  const stored = storedWeights(weights, made, place.axis);
  const outputs = layout.dims[layout.axis] ?? 0;
  if (made.bias === undefined && !needsBias) return { weights: stored };
  const name = bias?.name ?? `${weights.name}_bias`;
  const form = { outputs, inputScale, wide: type === 's16' };
  return { weights: stored, bias: storedBias(name, made, form) };
}

function storedWeights(
  tensor: TfliteTensor,
  { weights, scales }: IntegerWeights,
  axis: number,
): TfliteTensor {
  return {
    ...tensor,
    type: 'INT8',
    data: bytesOf(weights),
    quantization: makeQuantization([...scales], zeros(scales.length), scales.length > 1 ? axis : 0),
  };
}

interface BiasForm {
  readonly outputs: number;
  readonly inputScale: number;
  readonly wide: boolean;
}

function storedBias(name: string, made: IntegerWeights, form: BiasForm): TfliteTensor {
  const scales = Array.from(made.scales, (scale) => Math.fround(form.inputScale * scale));
  const narrow = made.bias ?? new Int32Array(form.outputs);
  const real = made.realBias ?? new Float32Array(form.outputs);
  const wide = () =>
    BigInt64Array.from(real, (value, c) =>
      toInt64(value / (scales[scales.length > 1 ? c : 0] ?? 1)),
    );
  return makeTensor({
    name,
    type: form.wide ? 'INT64' : 'INT32',
    shape: [form.outputs],
    data: bytesOf(form.wide ? wide() : narrow),
    quantization: makeQuantization(scales, zeros(scales.length)),
  });
}

/** Kernels rescale sums of up to 48 bits (kernels/internal/common.h, MultiplyByQuantizedMultiplier). */
const WIDEST_BIAS = 2 ** 46;

function toInt64(value: number): bigint {
  return BigInt(Math.round(Math.min(Math.max(value, -WIDEST_BIAS), WIDEST_BIAS)));
}

const zeros = (length: number) => Array.from({ length }, () => 0);
