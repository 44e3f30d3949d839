import { applyEdit, newEdit } from '../../../model/onnx/edit.ts';
import type { GraphProto, NodeProto } from '../../../model/onnx/generated/messages.ts';
import { indexGraph, opName } from '../../../model/onnx/graph.ts';
import type { GraphIndex } from '../../../model/onnx/graph.ts';
import { DataType, tensorNumbers } from '../../../model/onnx/tensor.ts';
import { isDequantize, isQuantize, isScalar, paramsOf } from './params.ts';
import { LinearWriter, integerTensor } from './writer.ts';

/** Ops through which an int8 tensor may pass on its way; 128 more everywhere changes nothing. */
const PASSES = new Set(
  'MaxPool Reshape Transpose Squeeze Unsqueeze Flatten Slice Resize Identity Clip'.split(' '),
);

const SHIFT = 128;

/**
 * int8 activations become uint8 with a zero point that is 128 higher: the same numbers, in the type
 * that the kernels of x86 take.
 */
export function unsignedActivations(graph: GraphProto): GraphProto {
  const index = indexGraph(graph);
  const writer = new LinearWriter(graph);
  const edit = newEdit();
  for (const node of graph.node) {
    if (!isQuantize(node) || edit.replace.has(node)) continue;
    const members = flow(node, index);
    if (members === undefined) continue;
    for (const member of members) edit.replace.set(member, [shifted(member, index, writer)]);
  }
  if (edit.replace.size === 0) return graph;
  for (const tensor of writer.initializers) edit.initializers.set(tensor.name ?? '', tensor);
  return applyEdit(graph, edit);
}

/** The nodes from this QuantizeLinear to every DequantizeLinear of its integers, or undefined. */
function flow(quantize: NodeProto, index: GraphIndex): ReadonlySet<NodeProto> | undefined {
  const members = new Set([quantize]);
  if (!isSigned(quantize, index)) return undefined;
  for (const member of members) {
    if (isDequantize(member)) continue;
    const [output = '', ...others] = member.output;
    if (index.outputs.has(output) || others.length > 0) return undefined;
    for (const reader of index.consumers.get(output) ?? []) {
      const passes = isDequantize(reader)
        ? isSigned(reader, index)
        : PASSES.has(opName(reader)) && hasConstantBounds(reader, index);
      if (!passes || reader.input.indexOf(output) !== 0) return undefined;
      members.add(reader);
    }
  }
  return members;
}

function isSigned(node: NodeProto, index: GraphIndex): boolean {
  const params = paramsOf(node, index);
  return params !== undefined && params.dataType === DataType.INT8 && isScalar(params);
}

function hasConstantBounds(node: NodeProto, { initializers }: GraphIndex): boolean {
  if (opName(node) !== 'Clip') return true;
  return node.input.slice(1).every((name) => name === '' || initializers.has(name));
}

function shifted(node: NodeProto, index: GraphIndex, writer: LinearWriter): NodeProto {
  const [input = ''] = node.input;
  const [output = ''] = node.output;
  const params = paramsOf(node, index);
  if ((isQuantize(node) || isDequantize(node)) && params !== undefined) {
    const zeroPoints = params.zeroPoints.map((zeroPoint) => zeroPoint + SHIFT);
    const unsigned = { ...params, dataType: DataType.UINT8, zeroPoints };
    return isQuantize(node)
      ? writer.quantize(input, output, unsigned)
      : writer.dequantize(input, output, unsigned);
  }
  if (opName(node) !== 'Clip') return node;
  const bounds = node.input.slice(1).map((name) => {
    const tensor = index.initializers.get(name);
    if (tensor === undefined) return '';
    const unsigned = writer.unique(`${name}_u8`);
    const values = tensorNumbers(tensor).map((value) => value + SHIFT);
    writer.initializers.push(integerTensor(unsigned, DataType.UINT8, [], values));
    return unsigned;
  });
  return { ...node, input: [input, ...bounds] };
}
