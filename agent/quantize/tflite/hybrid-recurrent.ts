import { bytesOf } from '../../model/bytes.ts';
import { elementCount, floatData } from '../../model/tflite/tensor.ts';
import { makeQuantization } from '../../model/tflite/types.ts';
import type { TfliteOperator, TfliteTensor } from '../../model/tflite/types.ts';
import { channelMaxima, quantizeChannels, symmetricParams } from '../arithmetic.ts';

/**
 * Recurrent layers in models of integers: nothing outside sees the values inside, so they cannot be
 * calibrated. With int8 weights their kernels quantize activations as they run.
 */

const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i);

/** Inputs that hold weights. */
const WEIGHTS: ReadonlyMap<string, readonly number[]> = new Map([
  ['LSTM', [...range(1, 11), 16]],
  ['UNIDIRECTIONAL_SEQUENCE_LSTM', [...range(1, 11), 16]],
  ['UNIDIRECTIONAL_SEQUENCE_RNN', [1, 2]],
  ['RNN', [1, 2]],
  ['SVDF', [1, 2]],
]);

/** Of the largest tensor: below it scales and kernels cost more than the weights. */
const WORTH = 1024;

/** Positions of the float weights that should become int8; none where that is not worth it. */
export function recurrentWeights(
  { op, options, inputs }: TfliteOperator,
  tensors: readonly TfliteTensor[],
): readonly number[] {
  // The basic kernel, with five inputs, has no form with int8 weights.
  if (options?.kind === 'LSTMOptions' && options.kernelType === 'BASIC') return [];
  const positions = (WEIGHTS.get(op) ?? []).filter((position) => (inputs[position] ?? -1) >= 0);
  const weights = positions.flatMap((position) => tensors[inputs[position] ?? -1] ?? []);
  const isReady = weights.every(
    ({ type, data, sparsity }) => type === 'FLOAT32' && data !== null && sparsity === undefined,
  );
  const largest = Math.max(0, ...weights.map(({ shape }) => elementCount(shape)));
  if (!isReady || largest < WORTH) return [];
  return weights.every((one) => floatData(one).every(Number.isFinite)) ? positions : [];
}

/** int8 with one scale and no zero point, which is all that these kernels know. */
export function symmetricWeights(tensor: TfliteTensor): TfliteTensor {
  const values = floatData(tensor);
  const view = { outer: 1, channels: 1, inner: values.length };
  const [largest = 0] = channelMaxima(values, view);
  const { scale } = symmetricParams(largest, 's8');
  const stored = quantizeChannels(values, view, Float32Array.of(scale));
  return {
    ...tensor,
    type: 'INT8',
    data: bytesOf(stored),
    quantization: makeQuantization([scale], [0]),
  };
}
