import { bytesOf } from '../../model/bytes.ts';
import { floatData } from '../../model/tflite/tensor.ts';
import { makeQuantization, makeTensor } from '../../model/tflite/types.ts';
import type { TfliteOperator, TfliteTensor } from '../../model/tflite/types.ts';
import { layerKey } from '../../model/statistics.ts';
import { quantizeBias, smallestForBias } from '../arithmetic.ts';
import { integerWeights } from '../weights.ts';
import type { IntegerWeights, WeightLayout } from '../weights.ts';
import type { OpRule, WeightPlace } from './op-table.ts';
import { weightScaleBounds } from './scale-limits.ts';
import { isReusable } from './stored-weights.ts';
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
 * How many scales the file itself gives weights that may stay as they are: one for all, or one per
 * channel. Undefined where weights have to be quantized.
 */
export function storedGrain(
  { operator, rule }: IntegerUnit,
  { stored }: Given,
): 'tensor' | 'channel' | undefined {
  const place = rule.weights;
  const known = stored.get(operator.inputs[place?.input ?? -1] ?? -1);
  if (place === undefined || known === undefined || !isReusable(known, place.axis)) {
    return undefined;
  }
  return known.quantization?.scale.length === 1 ? 'tensor' : 'channel';
}

/**
 * int8 weights within [-127, 127], those of the file where it has such ones, and a bias at scale input * weight, of 32 bits, or of 64 beside
 * 16-bit activations (TensorFlow Lite 8-bit quantization specification, and its 16x8 mode).
 */
export function staticWeights(
  unit: IntegerUnit,
  { place, given, perChannel, needsBias, inputScale, outputScale }: WeightContext,
): StaticWeights {
  const { graph, names, scheme, statistics, type } = given;
  const { operator, rule } = unit;
  const [input = -1] = unit.inputs;
  const at = operator.inputs[place.input] ?? -1;
  const [weights, bias] = [graph.tensors[at], graph.tensors[operator.inputs[place.bias] ?? -1]];
  const layout = weightLayout(rule, operator, given);
  if (weights === undefined || layout === undefined)
    throw new Error(`no weights for ${operator.op}`);
  const outputs = layout.dims[layout.axis] ?? 0;
  const realBias = bias === undefined ? undefined : floatData(bias);
  const name = bias?.name ?? `${weights.name}_bias`;
  const form = { outputs, inputScale, wide: type === 's16' };
  const bounds = weightScaleBounds(inputScale, outputScale);
  const grain = storedGrain(unit, given);
  const known = given.stored.get(at);
  if (known !== undefined && (grain === 'tensor' || (grain === 'channel' && perChannel))) {
    const kept = keptWeights(known, realBias, { ...form, least: bounds.least });
    if (kept !== undefined) {
      if (realBias === undefined && !needsBias) return { weights: known };
      return { weights: known, bias: storedBias(name, kept, form) };
    }
  }
  const made = integerWeights({
    values: floatData(weights),
    layout,
    inputScale,
    perChannel,
    reduceRange: scheme.reduceRange,
    bias: realBias,
    inputMean: statisticsOf(given, input)?.channelMean,
    takesBias: true,
    moments: statistics.layers?.get(layerKey(names[input] ?? '', names[at] ?? '')),
    wideBias: type === 's16',
    scaleBounds: bounds,
  });
  const stored = storedWeights(weights, made, place.axis);
  if (made.bias === undefined && !needsBias) return { weights: stored };
  return { weights: stored, bias: storedBias(name, made, form) };
}

/** The scales of the file with a bias to them; undefined where kernels do not take these scales. */
function keptWeights(
  { quantization }: TfliteTensor,
  bias: Float32Array | undefined,
  { inputScale, outputs, wide, least }: BiasForm & { readonly least: number },
): Pick<IntegerWeights, 'scales' | 'bias' | 'realBias'> | undefined {
  const scales = Float32Array.from(quantization?.scale ?? []);
  const real = bias ?? new Float32Array(outputs);
  const smallest = wide ? new Float32Array(outputs) : smallestForBias(real, inputScale);
  const isTaken = smallest.every(
    (scale, c) => (scales[scales.length > 1 ? c : 0] ?? 0) >= Math.max(scale, least),
  );
  if (!isTaken) return undefined;
  return { scales, bias: quantizeBias(real, inputScale, scales).values, realBias: real };
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

function storedBias(
  name: string,
  made: Pick<IntegerWeights, 'scales' | 'bias' | 'realBias'>,
  form: BiasForm,
): TfliteTensor {
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
