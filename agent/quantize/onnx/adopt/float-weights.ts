import { applyEdit, isEmptyEdit, newEdit } from '../../../model/onnx/edit.ts';
import type { GraphProto } from '../../../model/onnx/generated/messages.ts';
import { indexGraph, nameMaker, namelessNode } from '../../../model/onnx/graph.ts';
import { DataType, makeTensor } from '../../../model/onnx/tensor.ts';
import { dequantizeConstant, isDequantize, isQuantize, storedBehind } from './params.ts';
import { floatProducts } from './units.ts';

/**
 * Weights of ops that run in float become float: the runtime would dequantize them anew in every
 * run, and blocked layouts need constants. A model that quantizes no activations has integer weights
 * to be small, and keeps them.
 */
export function floatWeights(graph: GraphProto): GraphProto {
  if (!graph.node.some(isQuantize)) return graph;
  const index = indexGraph(graph);
  const unique = nameMaker(graph);
  const edit = newEdit();
  const made = new Map<string, string>();
  for (const node of floatProducts(graph)) {
    const input = node.input.map((name, position) => {
      const known = made.get(name);
      if (position === 0 || known !== undefined) return known ?? name;
      const stored = storedBehind(name, index);
      if (stored === undefined) return name;
      const float = unique(`${name}_float`);
      made.set(name, float);
      const values = dequantizeConstant(stored);
      edit.initializers.set(float, makeTensor(float, DataType.FLOAT, stored.dims, values));
      return float;
    });
    if (input.every((name, i) => name === node.input[i])) continue;
    const [x = '', ...rest] = input;
    if (!isDequantize(index.producer.get(x))) {
      edit.replace.set(node, [{ ...node, input }]);
      continue;
    }
    // Behind a DequantizeLinear the runtime may quantize float weights on its own, per tensor: a Sum
    // of one is a copy that no optimizer removes, and hides them.
    const copy = unique(`${x}_copy`);
    const shielded = { ...node, input: [copy, ...rest] };
    edit.replace.set(node, [namelessNode('Sum', [x], [copy]), shielded]);
  }
  return isEmptyEdit(edit) ? graph : applyEdit(graph, edit);
}
