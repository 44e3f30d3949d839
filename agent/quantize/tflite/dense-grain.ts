import { floatData } from '../../model/tflite/tensor.ts';
import type { TfliteOperator } from '../../model/tflite/types.ts';
import { channelMaxima } from '../arithmetic.ts';
import { denseShape } from './dense-as-conv.ts';
import type { Given, IntegerUnit } from './units.ts';

/**
 * What scales per row of matrix products may take, all together, of the bytes of the weights. A row
 * has two scales, for weights and bias, and a zero point that rows of other products share.
 */
const MAX_SHARE = 0.02;
const SCALES_BYTES = 2 * 4;
const ZERO_POINT_BYTES = 8;

interface Product {
  readonly operator: TfliteOperator;
  readonly rows: number;
  /** How many times less rounding the weights adds with a scale per row. */
  readonly gain: number;
}

/**
 * The matrix products that get a scale per row: all where accuracy comes before size, that is where
 * the scheme says so, with adaptive rounding, and with 16-bit activations, where weights are the only
 * noise. Otherwise those
 * that gain most by it, as long as their scales stay within a fiftieth of the weights. Convolutions
 * are not asked: every TFLite converter gives them a scale per channel.
 */
export function productsWithRowScales(
  given: Given,
  units: Iterable<IntegerUnit>,
): ReadonlySet<TfliteOperator> {
  const all = [...units];
  const products = all.flatMap((unit) => productOf(given, unit));
  const isAccurate = given.scheme.rounding === 'adaptive' || given.type === 's16';
  const { rowScales = isAccurate ? 'all' : 'few' } = given.scheme;
  if (rowScales === 'all') {
    return new Set(products.map(({ operator }) => operator));
  }
  const weightBytes = all.reduce((sum, unit) => sum + weightCount(given, unit), 0);
  return within(MAX_SHARE * weightBytes, products);
}

function within(bytes: number, products: readonly Product[]): ReadonlySet<TfliteOperator> {
  const chosen = new Set<TfliteOperator>();
  const rowCounts = new Set<number>();
  let left = bytes;
  for (const { operator, rows } of products.toSorted((one, other) => other.gain - one.gain)) {
    const bytesPerRow = SCALES_BYTES + (rowCounts.has(rows) ? 0 : ZERO_POINT_BYTES);
    if (rows * bytesPerRow > left) continue;
    left -= rows * bytesPerRow;
    rowCounts.add(rows);
    chosen.add(operator);
  }
  return chosen;
}

function productOf(given: Given, unit: IntegerUnit): readonly Product[] {
  const { operator } = unit;
  const weights = given.graph.tensors[operator.inputs[1] ?? -1];
  if (weights === undefined || denseShape(given, unit) === undefined) return [];
  const [rows = 1, inner = 1] = weights.shape;
  const maxima = channelMaxima(floatData(weights), { outer: 1, channels: rows, inner });
  const squares = maxima.map((largest) => largest ** 2);
  const mean = squares.reduce((sum, one) => sum + one, 0) / rows;
  const gain = mean === 0 ? 1 : Math.max(...squares) / mean;
  return [{ operator, rows, gain }];
}

/** As many as bytes, in 8 bits. */
function weightCount({ graph }: Given, { operator, rule }: IntegerUnit): number {
  const shape = graph.tensors[operator.inputs[rule.weights?.input ?? -1] ?? -1]?.shape ?? [0];
  return shape.reduce((product, size) => product * size, 1);
}
