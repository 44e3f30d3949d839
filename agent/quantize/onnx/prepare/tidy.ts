import type { GraphProto, NodeProto } from '../../../model/onnx/generated/messages.ts';
import { applyEdit, newEdit } from '../../../model/onnx/edit.ts';
import { indexGraph, opName } from '../../../model/onnx/graph.ts';
import type { GraphIndex } from '../../../model/onnx/graph.ts';
import { tensorNumbers } from '../../../model/onnx/tensor.ts';

/** Removes what does nothing at inference: Identity, and Dropout whose mask nobody reads. */
export function removeIdentities(graph: GraphProto): GraphProto {
  const index = indexGraph(graph);
  const edit = newEdit();
  const touched = new Set<NodeProto>();
  for (const node of graph.node) {
    if (!isIdentity(node, index)) continue;
    const [from = ''] = node.input;
    const [to = ''] = node.output;
    if (!index.outputs.has(to)) {
      edit.replace.set(node, []);
      edit.rename.set(to, from);
      continue;
    }
    const maker = index.producer.get(from);
    // A graph output must keep its name: its maker takes the name over when nobody else reads it.
    const free = index.consumers.get(from)?.length === 1 && !index.outputs.has(from);
    if (maker === undefined || !free || touched.has(maker) || isIdentity(maker, index)) continue;
    touched.add(maker);
    edit.replace.set(node, []);
    const output = maker.output.map((name) => (name === from ? to : name));
    edit.replace.set(maker, [{ ...maker, output }]);
  }
  return applyEdit(graph, edit);
}

function isIdentity(node: NodeProto, index: GraphIndex): boolean {
  const op = opName(node);
  if (op === 'Identity') return true;
  // Without a training_mode, or with a false one, Dropout passes its input on.
  const mask = node.output[1] ?? '';
  const isRead = index.consumers.has(mask) || index.outputs.has(mask);
  return op === 'Dropout' && !isRead && !trains(node.input[2] ?? '', index);
}

function trains(mode: string, { initializers }: GraphIndex): boolean {
  if (mode === '') return false;
  const tensor = initializers.get(mode);
  return tensor === undefined || tensorNumbers(tensor).some((value) => value !== 0);
}

/**
 * Leaves out what no runtime reads: shapes of inner tensors, which are inferred anew, and comments,
 * which exporters fill with stack traces.
 */
export function dropNotes(graph: GraphProto): GraphProto {
  const node = graph.node.map((one) =>
    one.docString === undefined ? one : { ...one, docString: undefined },
  );
  return { ...graph, node, valueInfo: [], docString: undefined };
}
