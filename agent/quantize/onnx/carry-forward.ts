import { applyEdit, newEdit } from '../../model/onnx/edit.ts';
import type { GraphProto, NodeProto } from '../../model/onnx/generated/messages.ts';
import { indexGraph, mapGraphs, nameMaker, namelessNode, opName } from '../../model/onnx/graph.ts';
import type { GraphIndex } from '../../model/onnx/graph.ts';
import { withGraph } from '../../model/onnx/open.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';
import { DataType } from '../../model/onnx/tensor.ts';

/** From here on QuantizeLinear has output_dtype. */
const OUTPUT_DTYPE_OPSET = 21;

/** Ops that onnxruntime carries DequantizeLinear across (qdq_propagation.cc). */
const CROSSED: ReadonlySet<string> = new Set([
  'MaxPool',
  'Reshape',
  'Slice',
  'Squeeze',
  'Transpose',
  'Unsqueeze',
]);

/**
 * onnxruntime moves DequantizeLinear behind float ops that only choose and move values. It quantizes
 * there with output_dtype INT8; on x86 it then makes the zero point uint8, and refuses its own work
 * (1.30). Where the pair stands there already it writes none: the same kernels run, and the file loads
 * everywhere. Concerns int8 from opset 21 on; other models are given back as they are.
 */
export function carryForward(model: OnnxModel): OnnxModel {
  if (model.opset < OUTPUT_DTYPE_OPSET) return model;
  const unique = nameMaker(model.graph);
  return withGraph(
    model,
    mapGraphs(model.graph, (graph) => carriedIn(graph, unique)),
  );
}

function carriedIn(graph: GraphProto, unique: (wish: string) => string): GraphProto {
  const index = indexGraph(graph);
  const edit = newEdit();
  // Tensors behind a DequantizeLinear of int8, with its inputs.
  const dequantized = new Map<string, readonly string[]>();
  for (const node of graph.node) {
    const [output = ''] = node.output;
    if (isInt8(node, index)) dequantized.set(output, node.input);
    const source = dequantized.get(node.input[0] ?? '');
    if (source === undefined || !CROSSED.has(opName(node)) || node.output.length > 1) continue;
    const readers = index.consumers.get(output) ?? [];
    if (readers.some((reader) => opName(reader) === 'QuantizeLinear')) continue;
    const [raw, bytes] = [unique(`${output}_raw`), unique(`${output}_bytes`)];
    const params = source.slice(1);
    edit.replace.set(node, [
      { ...node, output: [raw] },
      namelessNode('QuantizeLinear', [raw, ...params], [bytes]),
      namelessNode('DequantizeLinear', [bytes, ...params], [output]),
    ]);
    dequantized.set(output, source);
  }
  return applyEdit(graph, edit);
}

/** A DequantizeLinear of an activation with one scale. */
function isInt8(node: NodeProto, { initializers }: GraphIndex): boolean {
  const [bytes = '', , zeroPoint = ''] = node.input;
  const zero = initializers.get(zeroPoint);
  const scalar = zero?.dataType === DataType.INT8 && zero.dims.length === 0;
  return opName(node) === 'DequantizeLinear' && scalar && !initializers.has(bytes);
}
