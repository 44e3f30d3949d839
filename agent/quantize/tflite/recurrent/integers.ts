import { bytesOf } from '../../../model/bytes.ts';
import { floatData } from '../../../model/tflite/tensor.ts';
import { makeQuantization, makeTensor } from '../../../model/tflite/types.ts';
import type { TfliteTensor } from '../../../model/tflite/types.ts';
import { quantizeBias, roundHalfEven, scaleForBias, smallestForBias } from '../../arithmetic.ts';
import { isReusable } from '../stored-weights.ts';

/** A constant in integers around zero, with one scale. */
export interface Stored {
  readonly tensor: TfliteTensor;
  readonly scale: number;
}

export interface Form {
  readonly type: 'INT8' | 'INT16';
  /** The largest integer. */
  readonly limit: number;
  /** The bias of the same product, stored in steps of `inputScale` times the scale of the weights. */
  readonly bias?: Float32Array | undefined;
  readonly inputScale: number;
  /** What the file holds in the place of these floats. */
  readonly known?: TfliteTensor | undefined;
}

/** Weights with one scale for all, large enough for the bias to fit into 32 bits. */
export function storeWeights(tensor: TfliteTensor, form: Form): Stored {
  const { type, limit, bias = new Float32Array(), inputScale, known } = form;
  const values = floatData(tensor);
  const least = smallestForBias(bias, inputScale).reduce((a, b) => Math.max(a, b), 0);
  const [kept] = known?.quantization?.scale ?? [];
  if (known !== undefined && kept !== undefined && isKept(known, type) && kept >= least) {
    return { tensor: known, scale: kept };
  }
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const exact = Math.fround(Math.max(largest / limit, least));
  const scale = exact > 2 ** -100 ? exact : scaleForBias(largestOf(bias), inputScale);
  const integers = values.map((value) => roundHalfEven(value / scale));
  const stored = type === 'INT8' ? Int8Array.from(integers) : Int16Array.from(integers);
  return { tensor: { ...integerLike(tensor, type, scale), data: bytesOf(stored) }, scale };
}

const largestOf = (values: Float32Array) =>
  values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

function isKept(known: TfliteTensor, type: Form['type']): boolean {
  return type === 'INT8' && known.quantization?.scale.length === 1 && isReusable(known, 0);
}

/** A bias at the scale of the products that it is added to. */
export function storeBias(
  { name }: TfliteTensor,
  values: Float32Array,
  inputScale: number,
  weightScale: number,
): TfliteTensor {
  const made = quantizeBias(values, inputScale, Float32Array.of(weightScale));
  return makeTensor({
    name,
    type: 'INT32',
    shape: [values.length],
    data: bytesOf(made.values),
    quantization: makeQuantization([made.scales[0] ?? 1], [0]),
  });
}

/** The tensor with another type, around zero; its values, if it has any, are left out. */
export function integerLike(
  tensor: TfliteTensor,
  type: 'INT8' | 'INT16',
  scale: number,
): TfliteTensor {
  return { ...tensor, type, data: null, quantization: makeQuantization([scale], [0]) };
}
