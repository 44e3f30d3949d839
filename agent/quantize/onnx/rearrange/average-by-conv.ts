import { applyEdit, isEmptyEdit, newEdit } from '../../../model/onnx/edit.ts';
import type { NodeProto } from '../../../model/onnx/generated/messages.ts';
import {
  indexGraph,
  intAttribute,
  intsAttribute,
  makeNode,
  nameMaker,
  opName,
} from '../../../model/onnx/graph.ts';
import { DataType, makeTensor } from '../../../model/onnx/tensor.ts';
import type { Rearranged } from './rearranged.ts';

/** QLinearAveragePool turns all its input into floats and back, which pays only below this size. */
export const LARGEST_POOLED = 4096;
/** What makes bytes anyway; an average of floats stays with floats. */
const MAKES_BYTES = new Set(['Conv', 'Relu', 'Clip', 'MaxPool', 'Concat', 'Add']);

/** A mean over windows is a depthwise convolution with equal weights, which has a fast kernel. */
export function averageByConv({ graph, statistics, isExcluded }: Rearranged): Rearranged {
  const index = indexGraph(graph);
  const edit = newEdit();
  const unique = nameMaker(graph);
  for (const node of graph.node) {
    const [input = ''] = node.input;
    const shape = statistics.tensors.get(input)?.shape ?? [];
    const kernel = intsAttribute(node, 'kernel_shape') ?? [];
    const elements = shape.reduce((product, size) => product * size, 1);
    if (elements <= LARGEST_POOLED || !isWindowMean(node)) continue;
    if (isExcluded?.(node) === true) continue;
    const maker = index.producer.get(input);
    if (maker === undefined || !MAKES_BYTES.has(opName(maker)) || shape.length !== 4) continue;
    const channels = shape[1] ?? 1;
    const taps = kernel.reduce((product, size) => product * size, 1);
    const name = unique(`${node.output[0] ?? ''}_mean`);
    const values = new Float32Array(channels * taps).fill(1 / taps);
    edit.initializers.set(name, makeTensor(name, DataType.FLOAT, [channels, 1, ...kernel], values));
    const strides = intsAttribute(node, 'strides') ?? kernel.map(() => 1);
    const attributes = {
      kernel_shape: kernel.map(BigInt),
      strides: strides.map(BigInt),
      group: BigInt(channels),
    };
    const options = { attributes, ...(node.name === undefined ? {} : { name: node.name }) };
    edit.replace.set(node, [makeNode('Conv', [input, name], node.output, options)]);
  }
  return isEmptyEdit(edit) ? { graph, statistics } : { graph: applyEdit(graph, edit), statistics };
}

/** An AveragePool without padding and without windows that hang over the edge. */
function isWindowMean(node: NodeProto): boolean {
  if (opName(node) !== 'AveragePool' || (intAttribute(node, 'ceil_mode') ?? 0) !== 0) return false;
  const automatic = node.attribute.some(({ name }) => name === 'auto_pad');
  const moved = [...(intsAttribute(node, 'pads') ?? [])].some((amount) => amount !== 0);
  const dilated = (intsAttribute(node, 'dilations') ?? []).some((step) => step !== 1);
  return !automatic && !moved && !dilated;
}
