import type { Statistics } from '../../model/statistics.ts';
import { endsShort } from '../../model/tflite/short-windows.ts';
import { isPlainFloats } from '../../model/tflite/tensor.ts';
import { optionsOf } from '../../model/tflite/types.ts';
import type { OptionsOf, TfliteGraph, TfliteOperator } from '../../model/tflite/types.ts';
import { FilterEnlarger } from './enlarge.ts';
import type { Frame } from './enlarge.ts';
import type { RestatedKnown } from './restate.ts';

/** Height and width of the smallest filter that XNNPACK of TensorFlow Lite 2.9 has an int8 kernel for. */
const SIDE = 3;

/**
 * Depthwise filters of fewer than 3 x 3 taps as such of 3 x 3, with zeros around: the same sums. Of
 * smaller ones TensorFlow Lite's own kernel takes ten times as long in int8 (447 against 42
 * microseconds for one tap over [1, 64, 64, 32] on x86, and 14 in float).
 * @param isKept which operators, and which weights, are to stay as they are
 */
export function widenFilters(
  graph: TfliteGraph,
  statistics: Statistics,
  isKept: (operator: TfliteOperator) => boolean,
): RestatedKnown {
  const enlarger = new FilterEnlarger(graph, statistics);
  const moved = new Map<TfliteOperator, TfliteOperator>();
  for (const operator of graph.operators) {
    const options = optionsOf(operator, 'DepthwiseConv2DOptions');
    if (options === undefined || isKept(operator)) continue;
    const frame = frameOf(graph, operator, options);
    if (frame === undefined) continue;
    moved.set(operator, {
      ...operator,
      inputs: enlarger.inputsOf(operator, frame),
      options: { ...options, padding: 'SAME' },
    });
  }
  if (moved.size === 0) return { graph, moved, statistics };
  const operators = graph.operators.map((operator) => moved.get(operator) ?? operator);
  const { tensors, ...known } = enlarger.finish();
  return { graph: { ...graph, tensors, operators }, moved, ...known };
}

/** Where the filter makes the same sums in a larger one, if it does anywhere. */
function frameOf(
  { tensors }: TfliteGraph,
  operator: TfliteOperator,
  options: OptionsOf<'DepthwiseConv2DOptions'>,
): Frame | undefined {
  const [input, filter] = operator.inputs.map((at) => tensors[at]);
  const made = tensors[operator.outputs[0] ?? -1];
  if (input === undefined || made === undefined) return undefined;
  if (!isPlainFloats(filter) || filter.shape.length !== 4) return undefined;
  // Where SAME begins depends on the size.
  if (input.shapeSignature?.slice(1).some((size) => size < 0) === true) return undefined;
  if (options.dilationHFactor > 1 || options.dilationWFactor > 1) return undefined;
  const [, height = 0, width = 0] = filter.shape;
  if (height * width >= SIDE * SIDE || height > SIDE || width > SIDE) return undefined;
  const isSame = options.padding === 'SAME';
  const strides = [options.strideH, options.strideW];
  const places = [height, width].map((taps, axis) => {
    const [size = 0, result = 0] = [input.shape[axis + 1], made.shape[axis + 1]];
    return placeOf({ taps, size, result, stride: strides[axis] ?? 1, isSame });
  });
  const [top, left] = places;
  if (top === undefined || left === undefined) return undefined;
  return { height: SIDE, width: SIDE, top, left };
}

interface Axis {
  readonly taps: number;
  readonly size: number;
  readonly result: number;
  readonly stride: number;
  readonly isSame: boolean;
}

/**
 * Where the taps stand among `SIDE`, so that both filters begin at the same element: as far in as the
 * larger one begins earlier (padding SAME: half of what is missing, rounded down, lies in front).
 */
function placeOf({ taps, size, result, stride, isSame }: Axis): number | undefined {
  if (size <= 0 || result !== Math.ceil(size / stride)) return undefined;
  if (endsShort({ size, stride, reach: SIDE })) return undefined;
  const before = (length: number) =>
    Math.floor(Math.max((result - 1) * stride + length - size, 0) / 2);
  const place = before(SIDE) - (isSame ? before(taps) : 0);
  return place >= 0 && place + taps <= SIDE ? place : undefined;
}
