import { floatData } from '../../model/tflite/tensor.ts';
import type { QuantParams } from '../arithmetic.ts';
import { constantParams } from './ranges.ts';
import type { Given, IntegerUnit } from './units.ts';

/*
 * Kernels multiply by the quotient of the scales around them, and abort the process, or refuse the
 * model, where it is out of their bounds. Only tensors of nearly nothing come there.
 */

/** XNNPACK takes quotients in [2^-32, 2^8) (xnnpack, subgraph validation of requantization). */
const MOST_UP = 255;
const MOST_DOWN = 2 ** -31;

/** The smallest scale that a unit's output may have, given those of its inputs. */
export function leastOutputScale(
  given: Given,
  unit: IntegerUnit,
  params: ReadonlyMap<number, QuantParams>,
): number {
  const scales = [
    ...unit.inputs.map((at) => params.get(at)?.scale ?? 1),
    ...unit.constants.map((at) => constantParams(given, at).scale),
  ];
  const largest = Math.max(...scales);
  const limit = LEAST.get(unit.operator.op);
  if (limit !== undefined) return limit(scales, given.type === 's16' ? 15 : 20);
  return unit.rule.weights === undefined ? 0 : (largest * weightScale(given, unit)) / MOST_UP;
}

/** From the scales that come in, and the bits by which sums are shifted up (kernels/add.cc). */
type Limit = (scales: readonly number[], bits: number) => number;

/** Both sides are brought to twice the larger scale. */
const ofSums: Limit = (scales, bits) => (2 * Math.max(...scales)) / 2 ** bits;

const LEAST: ReadonlyMap<string, Limit> = new Map<string, Limit>([
  ['ADD', ofSums],
  ['SUB', ofSums],
  ['SQUARED_DIFFERENCE', (scales) => (2 * Math.max(...scales)) ** 2 / 2 ** 14],
  ['MUL', (scales) => scales.reduce((product, scale) => product * scale, 1) / MOST_UP],
  ['HARD_SWISH', (scales) => Math.max(...scales) / 2 ** 7],
]);

/** The largest that a channel's weights will have, about. */
function weightScale({ graph, stored }: Given, { operator, rule }: IntegerUnit): number {
  const at = operator.inputs[rule.weights?.input ?? -1] ?? -1;
  const weights = graph.tensors[at];
  const known = stored.get(at);
  if (known?.quantization) return Math.max(...known.quantization.scale);
  if (weights === undefined) return 0;
  let largest = 0;
  for (const value of floatData(weights)) largest = Math.max(largest, Math.abs(value));
  return largest / 127;
}

/** Between which weight scales must be, given those of input and output. */
export function weightScaleBounds(
  input: number,
  output: number,
): { readonly least: number; readonly most: number } {
  return {
    least: Math.fround((MOST_DOWN * output) / input),
    most: Math.fround((MOST_UP * output) / input),
  };
}

/** Comparisons multiply by the scales themselves, which must be below one (kernels/comparisons.cc). */
export function cannotCompare(
  given: Given,
  unit: IntegerUnit,
  params: ReadonlyMap<number, QuantParams>,
): string | undefined {
  if (!COMPARISONS.has(unit.operator.op)) return undefined;
  const scales = [
    ...unit.inputs.map((at) => params.get(at)?.scale ?? 1),
    ...unit.constants.map((at) => constantParams(given, at).scale),
  ];
  return scales.some((scale) => scale >= 1)
    ? 'its integer kernel takes scales below 1 only, and the numbers that it compares are larger'
    : undefined;
}

const COMPARISONS: ReadonlySet<string> = new Set([
  'EQUAL',
  'NOT_EQUAL',
  'LESS',
  'LESS_EQUAL',
  'GREATER',
  'GREATER_EQUAL',
]);
