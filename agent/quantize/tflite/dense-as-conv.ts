import { makeOperator, optionsOf } from '../../model/tflite/types.ts';
import type { TfliteOperator, TfliteTensor } from '../../model/tflite/types.ts';
import { statisticsOf } from './units.ts';
import type { Given, IntegerUnit } from './units.ts';

/**
 * FULLY_CONNECTED takes one scale for all its weights: kernels up to TensorFlow Lite 2.10 compute
 * zeros with more, in silence. CONV_2D takes one per output channel everywhere, and a matrix product
 * is a convolution of single pixels: same bytes, same time.
 */
export interface DenseShape {
  /** Values of one row that goes in. */
  readonly inputs: number;
  /** What the result is reshaped to. */
  readonly result: readonly number[];
  /** Whether it is worth turning rows into pixels. */
  readonly isLarge: boolean;
}

/**
 * Weights from which on rows are turned into pixels for it. That and the way back take two operators,
 * two tensors and two constants, about so many bytes of a file, and longer than a smaller product.
 */
const MIN_WEIGHTS = 512;

/** Undefined for other operators, and where the file does not tell the result's shape. */
export function denseShape(
  given: Given,
  { operator, outputs }: IntegerUnit,
): DenseShape | undefined {
  if (operator.op !== 'FULLY_CONNECTED') return undefined;
  const [rows = 0, inputs = 0] = given.graph.tensors[operator.inputs[1] ?? -1]?.shape ?? [];
  const [made = -1] = outputs;
  const tensor = given.graph.tensors[made];
  if (tensor === undefined || rows === 0 || inputs === 0) return undefined;
  const result = resultShape(tensor, rows, statisticsOf(given, made)?.shape);
  if (result === undefined) return undefined;
  return { inputs, result, isLarge: rows * inputs >= MIN_WEIGHTS };
}

function resultShape(
  { shape, shapeSignature }: TfliteTensor,
  rows: number,
  seen: readonly number[] | undefined,
): readonly number[] | undefined {
  if (shape.length <= 2) return [-1, rows].slice(2 - Math.max(shape.length, 1));
  const open = shapeSignature ?? shape;
  const isTrue = seen?.length === open.length && open.every((dim, i) => dim < 0 || dim === seen[i]);
  return isTrue && open.filter((dim) => dim < 0).length <= 1 ? open : undefined;
}

/** [rows, inputs] as filters of one pixel. */
export function pixelFilters(weights: TfliteTensor): TfliteTensor {
  const [rows = 0, inputs = 0] = weights.shape;
  return { ...weights, shape: [rows, 1, 1, inputs], shapeSignature: undefined };
}

/** @param operator the FULLY_CONNECTED whose place it takes */
export function pixelConv(
  operator: TfliteOperator,
  inputs: readonly number[],
  output: number,
): TfliteOperator {
  return makeOperator({
    op: 'CONV_2D',
    inputs,
    outputs: [output],
    options: {
      kind: 'Conv2DOptions',
      padding: 'VALID',
      strideW: 1,
      strideH: 1,
      fusedActivationFunction:
        optionsOf(operator, 'FullyConnectedOptions')?.fusedActivationFunction ?? 'NONE',
      dilationWFactor: 1,
      dilationHFactor: 1,
      quantizedBiasType: 'FLOAT32',
    },
  });
}
