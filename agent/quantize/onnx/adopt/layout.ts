import { applyEdit, editRepeatedly, newEdit } from '../../../model/onnx/edit.ts';
import type { GraphProto, NodeProto } from '../../../model/onnx/generated/messages.ts';
import { indexGraph, nameMaker, opName, stringAttribute } from '../../../model/onnx/graph.ts';
import { DataType } from '../../../model/onnx/tensor.ts';
import { isDequantize, isOnlyRead, isQuantize, isScalar, paramsOf } from './params.ts';
import type { LinearParams } from './params.ts';

/** Ops that move or choose values and never make new ones, with the integers they have kernels for. */
const BYTES: readonly number[] = [DataType.UINT8, DataType.INT8];
const MOVERS: ReadonlyMap<string, readonly number[]> = new Map([
  ['MaxPool', BYTES],
  ['Reshape', BYTES],
  ['Transpose', BYTES],
  ['Squeeze', BYTES],
  ['Unsqueeze', BYTES],
  ['Flatten', BYTES],
  ['Slice', BYTES],
  ['Resize', BYTES],
  ['DepthToSpace', [DataType.UINT8]],
]);

/** Whether the op gives the same result on integers as on what they stand for. */
function moves(node: NodeProto, { dataType }: LinearParams): boolean {
  if (MOVERS.get(opName(node))?.includes(dataType) !== true || node.output.length !== 1) {
    return false;
  }
  if (opName(node) !== 'Resize') return true;
  const isCrop = stringAttribute(node, 'coordinate_transformation_mode') === 'tf_crop_and_resize';
  return (stringAttribute(node, 'mode') ?? 'nearest') === 'nearest' && !isCrop;
}

/**
 * Lets ops that only move values work on integers, so that the convolution before or behind them
 * meets a quantized tensor: DequantizeLinear goes down past them, QuantizeLinear goes up.
 */
export function spreadIntegers(graph: GraphProto): GraphProto {
  // Each round goes past one op of every chain.
  return editRepeatedly(graph, (current) => raise(lower(current)));
}

/** DequantizeLinear, op -> op, DequantizeLinear. */
function lower(graph: GraphProto): GraphProto {
  const index = indexGraph(graph);
  const unique = nameMaker(graph);
  const edit = newEdit();
  for (const node of graph.node) {
    const [input = ''] = node.input;
    const [output = ''] = node.output;
    const before = index.producer.get(input);
    if (!isDequantize(before)) continue;
    const params = paramsOf(before, index);
    if (params === undefined || !isScalar(params) || !moves(node, params)) continue;
    // A QuantizeLinear behind it is the form that the runtime fuses on its own.
    if ((index.consumers.get(output) ?? []).some(isQuantize)) continue;
    const integers = unique(`${output}_integers`);
    const moved = { ...node, input: [before.input[0] ?? '', ...node.input.slice(1)] };
    edit.replace.set(node, [
      { ...moved, output: [integers] },
      { ...before, name: undefined, input: [integers, ...before.input.slice(1)], output: [output] },
    ]);
  }
  return applyEdit(graph, edit);
}

/** Op, QuantizeLinear -> QuantizeLinear, op. */
function raise(graph: GraphProto): GraphProto {
  const index = indexGraph(graph);
  const unique = nameMaker(graph);
  const edit = newEdit();
  for (const quantize of graph.node) {
    if (!isQuantize(quantize)) continue;
    const params = paramsOf(quantize, index);
    const mover = index.producer.get(quantize.input[0] ?? '');
    if (params === undefined || mover === undefined || !isScalar(params)) continue;
    const [input = ''] = mover.input;
    const maker = index.producer.get(input);
    if (!moves(mover, params) || maker === undefined || isDequantize(maker)) continue;
    if (!isOnlyRead(input, index) || !isOnlyRead(mover.output[0] ?? '', index)) continue;
    const integers = unique(`${input}_integers`);
    edit.replace.set(mover, [
      { ...quantize, input: [input, ...quantize.input.slice(1)], output: [integers] },
      { ...mover, input: [integers, ...mover.input.slice(1)], output: quantize.output },
    ]);
    edit.replace.set(quantize, []);
  }
  return applyEdit(graph, edit);
}
