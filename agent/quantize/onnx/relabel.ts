import type { NodeProto } from '../../model/onnx/generated/messages.ts';
import { opName } from '../../model/onnx/graph.ts';
import type { GraphIndex } from '../../model/onnx/graph.ts';
import { DataType, elementCount, floatData } from '../../model/onnx/tensor.ts';
import { OP_TABLE } from './op-table.ts';
import type { OpRule } from './op-table.ts';

/** The rule for a node, not only for its op; undefined where it stays in float. */
export function opRuleOf(node: NodeProto, index: GraphIndex): OpRule | undefined {
  return relabelRule(node, index) ?? OP_TABLE.get(opName(node));
}

/**
 * A product with one positive number leaves the integers as they are and multiplies their scale:
 * nothing to compute. Not before a Relu or Clip, which an integer product would do on the way.
 */
function relabelRule(node: NodeProto, index: GraphIndex): OpRule | undefined {
  if (opName(node) !== 'Mul') return undefined;
  const position = node.input.findIndex((name) => !index.initializers.has(name));
  const tensor = index.initializers.get(node.input[1 - position] ?? '');
  // An operand of more axes than the other would add axes to the output.
  if (tensor?.dataType !== DataType.FLOAT || elementCount(tensor.dims) !== 1) return undefined;
  if (tensor.dims.length > 1) return undefined;
  const [factor = 0] = floatData(tensor);
  if (!(factor >= LEAST && factor <= MOST)) return undefined;
  const [reader, ...others] = index.consumers.get(node.output[0] ?? '') ?? [];
  const clamped = reader !== undefined && OP_TABLE.get(opName(reader))?.role === 'clamp';
  if (clamped && others.length === 0) return undefined;
  return { role: 'relabel', data: [position], factor };
}

/** Beyond these a scale may leave the range of float32. */
const LEAST = 1e-6;
const MOST = 1e6;
