import { applyEdit, newEdit } from '../../../model/onnx/edit.ts';
import type { GraphProto } from '../../../model/onnx/generated/messages.ts';
import { indexGraph } from '../../../model/onnx/graph.ts';
import { DataType } from '../../../model/onnx/tensor.ts';
import { INTEGER_RANGE, isDequantize, isQuantize, paramsOf } from './params.ts';
import { quantizeConstant, sameParams } from './params.ts';
import { integerTensor } from './writer.ts';

/** QuantizeLinear of a constant, as training tools leave it, becomes the integers themselves. */
export function storeConstants(graph: GraphProto): GraphProto {
  const index = indexGraph(graph);
  const edit = newEdit();
  for (const node of graph.node) {
    if (!isQuantize(node)) continue;
    const tensor = index.initializers.get(node.input[0] ?? '');
    const params = paramsOf(node, index);
    const [output = ''] = node.output;
    if (tensor?.dataType !== DataType.FLOAT || params === undefined) continue;
    if (!INTEGER_RANGE.has(params.dataType) || index.outputs.has(output)) continue;
    const { dims, values } = quantizeConstant(tensor, params);
    edit.replace.set(node, []);
    edit.initializers.set(output, integerTensor(output, params.dataType, dims, values));
  }
  return applyEdit(graph, edit);
}

/** DequantizeLinear and then QuantizeLinear onto the same grid give back the same integers. */
export function dropRepeats(graph: GraphProto): GraphProto {
  const index = indexGraph(graph);
  const edit = newEdit();
  for (const node of graph.node) {
    const before = index.producer.get(node.input[0] ?? '');
    const [output = ''] = node.output;
    if (!isQuantize(node) || !isDequantize(before) || index.outputs.has(output)) continue;
    const [from, to] = [paramsOf(before, index), paramsOf(node, index)];
    if (from === undefined || to === undefined || !sameParams(from, to)) continue;
    edit.replace.set(node, []);
    edit.rename.set(output, before.input[0] ?? '');
  }
  return applyEdit(graph, edit);
}
