import type { GraphProto, NodeProto } from '../../../model/onnx/generated/messages.ts';
import { applyEdit, newEdit } from '../../../model/onnx/edit.ts';
import { indexGraph, nameMaker, opName } from '../../../model/onnx/graph.ts';
import type { GraphIndex } from '../../../model/onnx/graph.ts';
import { DataType, elementCount, floatTensor, tensorNumbers } from '../../../model/onnx/tensor.ts';

/**
 * The larger or the smaller of a tensor and one number is a Clip with one bound. A quantized range
 * takes over a Clip, but no Max or Min.
 */
export function boundsToClips(graph: GraphProto): GraphProto {
  const index = indexGraph(graph);
  const unique = nameMaker(graph);
  const edit = newEdit();
  for (const node of graph.node) {
    const op = opName(node);
    const found = op === 'Max' || op === 'Min' ? boundOf(node, index, graph) : undefined;
    if (found === undefined) continue;
    const name = unique(`${node.output[0] ?? ''}_bound`);
    edit.initializers.set(name, floatTensor(name, found.bound));
    const input = op === 'Max' ? [found.x, name] : [found.x, '', name];
    edit.replace.set(node, [{ ...node, opType: 'Clip', input }]);
  }
  return applyEdit(graph, edit);
}

function boundOf(
  { input }: NodeProto,
  index: GraphIndex,
  graph: GraphProto,
): { readonly x: string; readonly bound: number } | undefined {
  const numbers = input.flatMap((name) => {
    const tensor = index.initializers.get(name);
    const isNumber = tensor?.dataType === DataType.FLOAT && elementCount(tensor.dims) === 1;
    return isNumber ? [{ name, tensor, bound: tensorNumbers(tensor)[0] ?? NaN }] : [];
  });
  const [only] = numbers;
  const x = input.find((name) => name !== only?.name);
  if (only === undefined || x === undefined || input.length !== 2) return undefined;
  // A constant of more axes than the tensor would add some to the result.
  const axes = only.tensor.dims.length;
  const fits = axes === 0 || axes <= axesOf(x, index, graph);
  return fits && Number.isFinite(only.bound) ? { x, bound: only.bound } : undefined;
}

/** Ops whose output has as many axes as their first input. */
const KEEPS_AXES: ReadonlySet<string> = new Set(
  (
    'AveragePool BatchNormalization Clip Elu GlobalAveragePool HardSigmoid HardSwish Identity LeakyRelu ' +
    'MaxPool PRelu Relu Sigmoid Softmax Tanh'
  ).split(' '),
);

/** How many axes a tensor has, as far as the ops in front of it tell; else 0. */
function axesOf(name: string, { producer, initializers }: GraphIndex, graph: GraphProto): number {
  let at = name;
  let maker = producer.get(at);
  while (maker !== undefined && KEEPS_AXES.has(opName(maker))) {
    at = maker.input[0] ?? '';
    maker = producer.get(at);
  }
  const isConv = maker !== undefined && ['Conv', 'ConvTranspose'].includes(opName(maker));
  if (isConv) return initializers.get(maker?.input[1] ?? '')?.dims.length ?? 0;
  const declared = graph.input.find((value) => value.name === at)?.type?.tensorType?.shape;
  return declared?.dim.length ?? 0;
}
