import type { Statistics } from '../../model/statistics.ts';
import { indexGraph } from '../../model/tflite/graph.ts';
import { endsShort } from '../../model/tflite/short-windows.ts';
import { isPlainFloats } from '../../model/tflite/tensor.ts';
import { optionsOf } from '../../model/tflite/types.ts';
import type { TfliteGraph, TfliteOperator, TfliteTensor } from '../../model/tflite/types.ts';
import { FilterEnlarger } from './enlarge.ts';
import type { Frame } from './enlarge.ts';
import { type PaddedAxis, paddedInput } from './prepare/fold-pads.ts';
import type { RestatedKnown } from './restate.ts';

/**
 * How many products more for each place of the input a larger filter may cost. XNNPACK copies place by
 * place what it pads in int8: 5 nanoseconds each on x86, whatever the channels, where it makes 170
 * products in one (and more with VNNI). Slower products, as of older ARM cores, leave about this many.
 */
const MOST_PRODUCTS = 200;

/**
 * A PAD in front of a convolution that takes larger steps becomes padding SAME where a larger filter,
 * with zeros behind its taps, begins at the same element: the same sums. Of the first layer of a picture's
 * model, in int8, copying takes longer than convolving does.
 * @param isKept which operators are to stay as they are
 */
export function growFilters(
  graph: TfliteGraph,
  statistics: Statistics,
  isKept: (operator: TfliteOperator) => boolean,
): RestatedKnown {
  const index = indexGraph(graph);
  const enlarger = new FilterEnlarger(graph, statistics);
  const moved = new Map<TfliteOperator, TfliteOperator>();
  const pads = new Map<TfliteOperator, TfliteOperator>();
  for (const operator of graph.operators) {
    const options = optionsOf(operator, 'Conv2DOptions');
    const padded = paddedInput(graph, index, operator);
    if (options === undefined || padded === undefined) continue;
    if (isKept(operator) || isKept(padded.pad)) continue;
    const sides = padded.axes.map((axis) => tapsOf(axis, padded.from, outputOf(graph, operator)));
    const frame = growableTo(graph, operator, sides, padded.axes);
    if (frame === undefined) continue;
    const now: TfliteOperator = {
      ...operator,
      inputs: enlarger.inputsOf(operator, frame, padded.pad.inputs[0]),
      options: { ...options, padding: 'SAME' },
    };
    moved.set(operator, now);
    pads.set(padded.pad, now);
  }
  if (moved.size === 0) return { graph, moved, statistics };
  const operators = graph.operators.map((operator) => moved.get(operator) ?? operator);
  // What still reads a PAD keeps it; of the others the convolution does the work.
  const read = new Set([...operators.flatMap(({ inputs }) => inputs), ...graph.outputs]);
  const isIdle = (operator: TfliteOperator) =>
    pads.has(operator) && !operator.outputs.some((at) => read.has(at));
  for (const [pad, now] of pads) if (isIdle(pad)) moved.set(pad, now);
  const left = operators.filter((operator) => !isIdle(operator));
  const { tensors, ...known } = enlarger.finish();
  return { graph: { ...graph, tensors, operators: left }, moved, ...known };
}

const outputOf = ({ tensors }: TfliteGraph, { outputs }: TfliteOperator) =>
  tensors[outputs[0] ?? -1];

/** The fewest taps with which padding SAME begins where the PAD does, or undefined. */
function tapsOf(
  { axis, taps, before, stride, dilation }: PaddedAxis,
  { shape, shapeSignature = shape }: TfliteTensor,
  made: TfliteTensor | undefined,
): number | undefined {
  const size = shape[axis] ?? 0;
  const results = made?.shape[axis];
  if (size <= 0 || (shapeSignature[axis] ?? -1) < 0) return undefined;
  if (results !== Math.ceil(size / stride)) return undefined;
  const isSame = (count: number) => {
    const reach = (count - 1) * dilation + 1;
    const missing = Math.max((results - 1) * stride + reach - size, 0);
    return Math.floor(missing / 2) === before && !endsShort({ size, stride, reach });
  };
  // The same zeros on both sides of a size that the steps divide want as many taps more as a step skips.
  return Array.from({ length: stride }, (_, more) => taps + more).find(isSame);
}

/** That many taps, where they cost less than copying. */
function growableTo(
  { tensors }: TfliteGraph,
  { inputs }: TfliteOperator,
  [rows, columns]: readonly (number | undefined)[],
  axes: readonly PaddedAxis[],
): Frame | undefined {
  const filter = tensors[inputs[1] ?? -1];
  if (rows === undefined || columns === undefined) return undefined;
  if (!isPlainFloats(filter)) return undefined;
  const [count = 0, height = 0, width = 0, channels = 0] = filter.shape;
  const steps = axes.reduce((product, { stride }) => product * stride, 1);
  const more = (rows * columns - height * width) * count * channels;
  if (more / steps > MOST_PRODUCTS) return undefined;
  return { height: rows, width: columns, top: 0, left: 0 };
}
