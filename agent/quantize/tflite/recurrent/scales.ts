import type { TfliteOperator } from '../../../model/tflite/types.ts';
import type { TensorStatistics } from '../../../model/statistics.ts';
import { affineParams, symmetricParams } from '../../arithmetic.ts';
import type { QuantParams } from '../../arithmetic.ts';
import { statisticsOf } from '../units.ts';
import type { Given } from '../units.ts';
import type { Recurrent } from './layout.ts';
import { stateName } from './states.ts';

/** Why an operator stays float that no sample came by. */
export const UNSEEN = 'no finite range was seen';

/** Kernels want a cell scale of at most 2^-9, and 2^-15 where tanh reads no whole numbers. */
const MOST_WHOLE_BITS = 6;

/** Why the state that was seen is none for integers; undefined where it is. */
export function whyNotState(
  given: Given,
  operator: TfliteOperator,
  kind: Recurrent,
): string | undefined {
  const seen = stateStatistics(given, operator);
  if (seen === undefined) return `${UNSEEN} of '${stateName(given.names, operator)}'`;
  const largest = largestOf(seen);
  return kind === 'lstm' && largest > 2 ** MOST_WHOLE_BITS
    ? `its cell state came to ${largest.toPrecision(3)}, and its integer kernel takes up to ${2 ** MOST_WHOLE_BITS}`
    : undefined;
}

/**
 * The scale of the state's 16 bits: of an LSTM's cell the power of two that holds what was seen. The
 * extremes count, whatever the observer cuts off: what is too large stays so over the steps that follow.
 */
export function stateScale(given: Given, operator: TfliteOperator, kind: Recurrent): number {
  const seen = stateStatistics(given, operator);
  const largest = seen === undefined ? 0 : largestOf(seen);
  if (kind === 'svdf') return symmetricParams(largest, 's16').scale;
  const whole = Math.ceil(Math.log2(Math.max(largest, 1)));
  return 2 ** (Math.min(whole, MOST_WHOLE_BITS) - 15);
}

/**
 * What the kernel asks of the output. That of an LSTM takes its zero point with the wrong sign, so it is
 * 0; that of an SVDF has RELU only by its lowest integer standing for 0.
 */
export function recurrentOutput(given: Given, kind: Recurrent, at: number): QuantParams {
  const { min = 0, max = 0 } = statisticsOf(given, at) ?? {};
  return kind === 'lstm'
    ? symmetricParams(Math.max(Math.abs(min), Math.abs(max)), 's8')
    : affineParams(0, max, 's8');
}

function stateStatistics(given: Given, operator: TfliteOperator): TensorStatistics | undefined {
  const found = given.statistics.tensors.get(stateName(given.names, operator));
  const isFinite = Number.isFinite(found?.seenMin) && Number.isFinite(found?.seenMax);
  return isFinite ? found : undefined;
}

const largestOf = ({ seenMin, seenMax }: TensorStatistics) =>
  Math.max(Math.abs(seenMin), Math.abs(seenMax));
