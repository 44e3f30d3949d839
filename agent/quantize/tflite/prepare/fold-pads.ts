import { convolutionOf } from '../../../model/tflite/convolutions.ts';
import { indexGraph } from '../../../model/tflite/graph.ts';
import type { GraphIndex } from '../../../model/tflite/graph.ts';
import { endsShort } from '../../../model/tflite/short-windows.ts';
import { isConstant, tensorNumbers } from '../../../model/tflite/tensor.ts';
import type { TfliteGraph, TfliteOperator, TfliteTensor } from '../../../model/tflite/types.ts';

/**
 * A PAD with zeros becomes padding SAME of the convolution behind it, where both begin at the same
 * element. XNNPACK does so by itself for floats, but not where zero is another number than 0, as it is
 * in int8: there each PAD copies its tensor.
 */
export function foldPads(graph: TfliteGraph): TfliteGraph {
  const index = indexGraph(graph);
  const operators = graph.operators.map((operator) => {
    const options = convolutionOf(operator);
    const padded = paddedInput(graph, index, operator);
    if (options === undefined || padded === undefined) return operator;
    const { pad, from, axes } = padded;
    if (!axes.every((one) => isSameAlong(one, from))) return operator;
    const inputs = [pad.inputs[0] ?? -1, ...operator.inputs.slice(1)];
    return { ...operator, inputs, options: { ...options, padding: 'SAME' as const } };
  });
  return { ...graph, operators };
}

/** What a convolution reads, as it is before a PAD with zeros around height and width. */
interface PaddedInput {
  readonly pad: TfliteOperator;
  readonly from: TfliteTensor;
  readonly axes: readonly PaddedAxis[];
}

/** Undefined where a convolution pads by itself, and where its input is not such a tensor. */
export function paddedInput(
  { tensors }: TfliteGraph,
  { producer, outputs, constants }: GraphIndex,
  conv: TfliteOperator,
): PaddedInput | undefined {
  const pad = producer.get(conv.inputs[0] ?? -1);
  if (pad?.op !== 'PAD') return undefined;
  const [from, widths] = pad.inputs.map((at) => tensors[at]);
  const filter = tensors[conv.inputs[1] ?? -1];
  const options = convolutionOf(conv);
  if (from === undefined || widths === undefined || filter === undefined) return undefined;
  // What is an output stays; constants are folded elsewhere.
  if (outputs.has(pad.outputs[0] ?? -1) || constants.has(pad.inputs[0] ?? -1)) return undefined;
  if (options?.padding !== 'VALID') return undefined;
  if (from.shape.length !== 4 || filter.shape.length !== 4) return undefined;
  if (!isConstant(widths) || widths.type !== 'INT32' || widths.data === null) return undefined;
  const [batchBefore, batchAfter, top = -1, bottom = -1, left = -1, end = -1, ...channels] =
    tensorNumbers(widths);
  if ([batchBefore, batchAfter, ...channels].some((width) => width !== 0)) return undefined;
  const { strideH, strideW, dilationHFactor, dilationWFactor } = options;
  const [, height = 0, width = 0] = filter.shape;
  const down = { taps: height, stride: strideH, dilation: dilationHFactor };
  const right = { taps: width, stride: strideW, dilation: dilationWFactor };
  const axes = [
    { axis: 1, before: top, after: bottom, ...down },
    { axis: 2, before: left, after: end, ...right },
  ];
  return { pad, from, axes };
}

/** Height or width of a padded tensor, and how a convolution goes along it. */
export interface PaddedAxis {
  readonly axis: number;
  readonly taps: number;
  /** What the PAD puts in front and behind. */
  readonly before: number;
  readonly after: number;
  readonly stride: number;
  readonly dilation: number;
}

/** Whether padding SAME of what the PAD reads makes the sums that there are. */
function isSameAlong(
  { axis, taps, before, after, stride, dilation }: PaddedAxis,
  { shape, shapeSignature = shape }: TfliteTensor,
): boolean {
  const reach = (taps - 1) * dilation + 1;
  // With steps of one the size does not matter.
  if (stride === 1) return before === Math.floor((reach - 1) / 2) && before + after === reach - 1;
  const size = shape[axis] ?? 0;
  if ((shapeSignature[axis] ?? -1) < 0 || size <= 0) return false;
  if (endsShort({ size, stride, reach })) return false;
  const results = Math.ceil(size / stride);
  const missing = Math.max((results - 1) * stride + reach - size, 0);
  const padded = size + before + after;
  return (
    before === Math.floor(missing / 2) && Math.floor((padded - reach) / stride) + 1 === results
  );
}
