import { endsShort } from '../../../model/tflite/short-windows.ts';
import { convolutionOf } from '../../../model/tflite/convolutions.ts';
import type { TfliteGraph, TfliteOperator } from '../../../model/tflite/types.ts';

/**
 * Padding SAME that pads nothing becomes VALID where the last window ends before the input does:
 * XNNPACK computes nonsense of it (short-windows.ts).
 */
export function withoutIdlePadding(graph: TfliteGraph): TfliteGraph {
  const operators = graph.operators.map((operator) =>
    isIdle(graph, operator) ? withValid(operator) : operator,
  );
  return operators.every((one, at) => one === graph.operators[at])
    ? graph
    : { ...graph, operators };
}

function withValid(operator: TfliteOperator): TfliteOperator {
  const options = convolutionOf(operator);
  return options === undefined
    ? operator
    : { ...operator, options: { ...options, padding: 'VALID' } };
}

function isIdle({ tensors }: TfliteGraph, operator: TfliteOperator): boolean {
  const options = convolutionOf(operator);
  const [input, filter] = operator.inputs.map((at) => tensors[at]);
  if (options?.padding !== 'SAME' || input?.shape.length !== 4) return false;
  if (input.shapeSignature?.slice(1).some((size) => size < 0) === true) return false;
  const axes = [
    { axis: 1, stride: options.strideH, dilation: options.dilationHFactor },
    { axis: 2, stride: options.strideW, dilation: options.dilationWFactor },
  ].map(({ axis, stride, dilation }) => {
    const reach = ((filter?.shape[axis] ?? 1) - 1) * dilation + 1;
    return { size: input.shape[axis] ?? 0, stride, reach };
  });
  const missing = axes.map(
    ({ size, stride, reach }) => (Math.ceil(size / stride) - 1) * stride + reach - size,
  );
  return axes.some(endsShort) && missing.every((elements) => elements <= 0);
}
