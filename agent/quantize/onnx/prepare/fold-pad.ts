import type { GraphProto, NodeProto } from '../../../model/onnx/generated/messages.ts';
import { applyEdit, newEdit } from '../../../model/onnx/edit.ts';
import {
  indexGraph,
  intsAttribute,
  opName,
  stringAttribute,
  withAttributes,
} from '../../../model/onnx/graph.ts';
import type { GraphIndex } from '../../../model/onnx/graph.ts';
import { tensorNumbers } from '../../../model/onnx/tensor.ts';

/** Zero padding in front of convolutions moves into their own `pads`: Pad has no integer kernel. */
export function foldPad(graph: GraphProto): GraphProto {
  const index = indexGraph(graph);
  const edit = newEdit();
  for (const pad of graph.node) {
    const pads = opName(pad) === 'Pad' ? zeroPads(pad, index) : undefined;
    const output = pad.output[0] ?? '';
    const readers = index.consumers.get(output) ?? [];
    if (pads === undefined || readers.length === 0 || index.outputs.has(output)) continue;
    const merged = readers.map((reader) => mergedPads(reader, output, pads));
    if (merged.includes(undefined)) continue;
    readers.forEach((conv, i) => {
      const values = (merged[i] ?? []).map(BigInt);
      const input = [pad.input[0] ?? '', ...conv.input.slice(1)];
      edit.replace.set(conv, [
        { ...withAttributes(conv, { pads: values, auto_pad: undefined }), input },
      ]);
    });
    edit.replace.set(pad, []);
  }
  return applyEdit(graph, edit);
}

/** The amounts (begins, then ends) of a constant zero padding of spatial axes. */
function zeroPads(pad: NodeProto, index: GraphIndex): number[] | undefined {
  if ((stringAttribute(pad, 'mode') ?? 'constant') !== 'constant' || (pad.input[3] ?? '') !== '') {
    return undefined;
  }
  const value = index.initializers.get(pad.input[2] ?? '');
  const named = (pad.input[2] ?? '') !== '';
  if (named && (value === undefined || tensorNumbers(value).some((v) => v !== 0))) return undefined;
  if (pad.attribute.some(({ name, f }) => name === 'value' && f !== 0)) return undefined;
  const tensor = index.initializers.get(pad.input[1] ?? '');
  const pads = tensor === undefined ? intsAttribute(pad, 'pads') : tensorNumbers(tensor);
  if (pads === undefined || pads.some((amount) => amount < 0)) return undefined;
  const rank = pads.length / 2;
  const outside = [pads[0], pads[1], pads[rank], pads[rank + 1]];
  return rank >= 3 && outside.every((amount) => amount === 0) ? pads : undefined;
}

function mergedPads(conv: NodeProto, x: string, pads: readonly number[]): number[] | undefined {
  const auto = stringAttribute(conv, 'auto_pad') ?? 'NOTSET';
  const known = auto === 'NOTSET' || auto === 'VALID';
  if (opName(conv) !== 'Conv' || conv.input[0] !== x || !known) return undefined;
  const rank = pads.length / 2;
  const spatial = [...pads.slice(2, rank), ...pads.slice(rank + 2)];
  const own = auto === 'VALID' ? undefined : intsAttribute(conv, 'pads');
  return spatial.map((amount, i) => amount + (own?.[i] ?? 0));
}
