import { indexGraph } from '../../../model/tflite/graph.ts';
import type { GraphIndex } from '../../../model/tflite/graph.ts';
import { endsShort } from '../../../model/tflite/short-windows.ts';
import { isConstant, tensorNumbers } from '../../../model/tflite/tensor.ts';
import { optionsOf } from '../../../model/tflite/types.ts';
import type { TfliteGraph, TfliteOperator, TfliteTensor } from '../../../model/tflite/types.ts';

/**
 * A PAD with zeros becomes padding SAME of the convolution behind it, where both begin at the same
 * element. XNNPACK does so by itself for floats, but not where zero is another number than 0, as it is
 * in int8: there each PAD copies its tensor.
 */
export function foldPads(graph: TfliteGraph): TfliteGraph {
  const index = indexGraph(graph);
  const operators = graph.operators.map((operator) => {
    const [input = -1, ...rest] = operator.inputs;
    const pad = index.producer.get(input);
    const options = convolution(operator);
    if (pad === undefined || options?.padding !== 'VALID') return operator;
    if (!isSame(graph, index, pad, operator)) return operator;
    const inputs = [pad.inputs[0] ?? -1, ...rest];
    return { ...operator, inputs, options: { ...options, padding: 'SAME' as const } };
  });
  return { ...graph, operators };
}

function convolution(operator: TfliteOperator) {
  return (
    optionsOf(operator, 'Conv2DOptions') ??
    (operator.op === 'DEPTHWISE_CONV_2D'
      ? optionsOf(operator, 'DepthwiseConv2DOptions')
      : undefined)
  );
}

/** Whether padding SAME of what the PAD reads makes the sums that there are. */
function isSame(
  { tensors }: TfliteGraph,
  { outputs, constants }: GraphIndex,
  pad: TfliteOperator,
  conv: TfliteOperator,
): boolean {
  const [from, widths] = pad.inputs.map((at) => tensors[at]);
  const filter = tensors[conv.inputs[1] ?? -1];
  const options = convolution(conv);
  if (pad.op !== 'PAD' || from === undefined || widths === undefined || filter === undefined) {
    return false;
  }
  // What is an output stays; constants are folded elsewhere.
  if (outputs.has(pad.outputs[0] ?? -1) || constants.has(pad.inputs[0] ?? -1)) return false;
  if (options === undefined || from.shape.length !== 4 || filter.shape.length !== 4) return false;
  if (!isConstant(widths) || widths.type !== 'INT32' || widths.data === null) return false;
  const [batchBefore, batchAfter, top = -1, bottom = -1, left = -1, right = -1, ...channels] =
    tensorNumbers(widths);
  if ([batchBefore, batchAfter, ...channels].some((width) => width !== 0)) return false;
  const { strideH, strideW, dilationHFactor, dilationWFactor } = options;
  const axes = [
    { axis: 1, before: top, after: bottom, stride: strideH, dilation: dilationHFactor },
    { axis: 2, before: left, after: right, stride: strideW, dilation: dilationWFactor },
  ];
  return axes.every((one) => isSameAlong(one, from, filter.shape[one.axis] ?? 0));
}

interface Axis {
  readonly axis: number;
  /** What the PAD puts in front and behind. */
  readonly before: number;
  readonly after: number;
  readonly stride: number;
  readonly dilation: number;
}

function isSameAlong(
  { axis, before, after, stride, dilation }: Axis,
  { shape, shapeSignature = shape }: TfliteTensor,
  taps: number,
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
