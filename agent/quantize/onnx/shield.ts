import type { NodeProto } from '../../model/onnx/generated/messages.ts';
import { opName } from '../../model/onnx/graph.ts';
import type { GraphIndex } from '../../model/onnx/graph.ts';
import type { IntegerUnit } from './static-plan.ts';

/**
 * Between DequantizeLinear and QuantizeLinear onnxruntime quantizes on its own: it gives int8 weights
 * per tensor to these (weight_bias_quantization.cc), even where it then has no integer kernel, and
 * fuses an AveragePool with dilations into a kernel that refuses them.
 */
const QUANTIZED_UNASKED: ReadonlySet<string> = new Set([
  'Conv',
  'ConvTranspose',
  'Gemm',
  'AveragePool',
]);

interface Surroundings {
  readonly index: GraphIndex;
  readonly units: ReadonlyMap<NodeProto, IntegerUnit>;
  readonly isExcluded: (node: NodeProto) => boolean;
}

/** Float nodes among integer ones that would not stay in float: by node, the input to shield. */
export function inputsToShield(
  nodes: readonly NodeProto[],
  { index, units, isExcluded }: Surroundings,
): ReadonlyMap<NodeProto, string> {
  const stored = new Set<string>();
  const quantized = new Set<string>();
  for (const unit of units.values()) {
    if (unit.quantizedOutput) for (const name of unit.outputs) stored.add(name);
    for (const name of unit.inputs) quantized.add(name);
  }
  const shields = new Map<NodeProto, string>();
  for (const node of nodes) {
    if (units.has(node) || !(QUANTIZED_UNASKED.has(opName(node)) || isExcluded(node))) continue;
    const input = node.input.find((name) => stored.has(name));
    if (input !== undefined && node.output.some(isQuantizedBehind)) shields.set(node, input);
  }
  return shields;

  /** Directly, or behind a clamp. */
  function isQuantizedBehind(name: string): boolean {
    if (quantized.has(name)) return true;
    const readers = index.consumers.get(name) ?? [];
    return readers.some(
      (reader) =>
        ['Relu', 'Clip'].includes(opName(reader)) &&
        reader.output.some((output) => quantized.has(output)),
    );
  }
}
