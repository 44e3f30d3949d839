import type { GraphProto, NodeProto } from '../../../model/onnx/generated/messages.ts';
import {
  indexGraph,
  intAttribute,
  intsAttribute,
  opName,
  stringAttribute,
} from '../../../model/onnx/graph.ts';
import { layerKey } from '../../../model/statistics.ts';
import type { LayerInput, LayerWindow } from '../../../model/statistics.ts';
import { obstacle } from '../obstacles.ts';
import { OP_TABLE, isWeighted } from '../op-table.ts';

/** The layers whose weights adaptive rounding would like to know the inputs of. */
export function layersToSample(graph: GraphProto): LayerInput[] {
  const index = indexGraph(graph);
  const layers = new Map<string, LayerInput>();
  for (const node of graph.node) {
    const rule = OP_TABLE.get(opName(node));
    const [tensor = '', weight = ''] = node.input;
    const dims = index.initializers.get(weight)?.dims;
    if (rule === undefined || !isWeighted(rule) || dims === undefined) continue;
    if (index.initializers.has(tensor)) continue;
    if (obstacle(node, rule, index) !== undefined) continue;
    const layer = describe(node, layerKey(tensor, weight), tensor, dims);
    if (layer !== undefined) layers.set(layer.key, layer);
  }
  return [...layers.values()];
}

function describe(
  node: NodeProto,
  key: string,
  tensor: string,
  dims: readonly number[],
): LayerInput | undefined {
  if (opName(node) !== 'Conv') {
    const transposed = opName(node) === 'Gemm' && (intAttribute(node, 'transB') ?? 0) !== 0;
    return { key, tensor, size: dims[transposed ? 1 : 0] ?? 0, groups: 1 };
  }
  const size = dims.slice(1).reduce((product, one) => product * one, 1);
  const groups = intAttribute(node, 'group') ?? 1;
  return { key, tensor, size, groups, window: windowOf(node, dims.slice(2)) };
}

function windowOf(node: NodeProto, kernel: readonly number[]): LayerWindow {
  const auto = stringAttribute(node, 'auto_pad') ?? 'NOTSET';
  const axes = kernel.length;
  const pads = auto === 'NOTSET' ? (intsAttribute(node, 'pads') ?? []) : [];
  const all = (value: number) => kernel.map(() => value);
  return {
    kernel,
    strides: intsAttribute(node, 'strides') ?? all(1),
    dilations: intsAttribute(node, 'dilations') ?? all(1),
    pads: pads.length === 2 * axes ? pads.slice(0, axes) : all(0),
    padsAtEnd: pads.length === 2 * axes ? pads.slice(axes) : all(0),
    ...(auto === 'SAME_UPPER' && { same: 'upper' }),
    ...(auto === 'SAME_LOWER' && { same: 'lower' }),
  };
}
