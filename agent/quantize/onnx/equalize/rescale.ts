import { applyEdit, dropUnused, newEdit } from '../../../model/onnx/edit.ts';
import type { GraphProto, NodeProto } from '../../../model/onnx/generated/messages.ts';
import { nameMaker } from '../../../model/onnx/graph.ts';
import { DataType, floatData, makeTensor } from '../../../model/onnx/tensor.ts';
import { multiply } from '../../equalize/multiply.ts';
import type { Slot } from '../../equalize/trace.ts';

/**
 * The graph with constants multiplied by the factors of their channels (power 1) or divided by them
 * (power -1). Constants that several nodes read are copied for those that change.
 */
export function rescale(
  graph: GraphProto,
  slots: readonly Slot<NodeProto>[],
  factorOf: (id: number) => number,
): GraphProto {
  const initializers = new Map(graph.initializer.map((tensor) => [tensor.name ?? '', tensor]));
  const unique = nameMaker(graph);
  const edit = newEdit();
  const changed = new Map<NodeProto, Map<number, Slot<NodeProto>[]>>();
  for (const slot of slots) {
    if (slot.layout.ids.every((id) => factorOf(id) === 1)) continue;
    const ofNode = changed.get(slot.step) ?? new Map<number, Slot<NodeProto>[]>();
    changed.set(slot.step, ofNode);
    ofNode.set(slot.position, [...(ofNode.get(slot.position) ?? []), slot]);
  }
  for (const [node, byPosition] of changed) {
    const input = [...node.input];
    for (const [position, own] of byPosition) {
      const tensor = initializers.get(node.input[position] ?? '');
      if (tensor === undefined) continue;
      const values = Float64Array.from(floatData(tensor));
      for (const slot of own) multiply(values, tensor.dims, slot, factorOf);
      const name = unique(`${tensor.name ?? ''}_equalized`);
      const data = Float32Array.from(values);
      edit.initializers.set(name, makeTensor(name, DataType.FLOAT, tensor.dims, data));
      input[position] = name;
    }
    edit.replace.set(node, [{ ...node, input }]);
  }
  return dropUnused(applyEdit(graph, edit));
}
