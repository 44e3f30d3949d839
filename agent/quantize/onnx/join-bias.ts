import type { Scheme } from '../../contracts/scheme.ts';
import { applyEdit, newEdit } from '../../model/onnx/edit.ts';
import type { GraphEdit } from '../../model/onnx/edit.ts';
import type { GraphProto, NodeProto, TensorProto } from '../../model/onnx/generated/messages.ts';
import { indexGraph, nameMaker, namelessNode, nodeLabel, opName } from '../../model/onnx/graph.ts';
import type { GraphIndex } from '../../model/onnx/graph.ts';
import { DataType } from '../../model/onnx/tensor.ts';
import type { Statistics } from '../../model/statistics.ts';
import { isExcluded } from './excluded.ts';

/**
 * onnxruntime makes a float Gemm of MatMul and Add, also where the MatMul reads integers, and then
 * finds no integer kernel for it. So of matrices we make the Gemm, whose bias becomes integers too;
 * of anything with more axes we keep the two apart, by a bias that no Gemm can take.
 */
export function joinBias(graph: GraphProto, statistics: Statistics, scheme: Scheme): GraphProto {
  const index = indexGraph(graph);
  const unique = nameMaker(graph);
  const edit = newEdit();
  for (const product of graph.node) {
    const bias = opName(product) === 'MatMul' ? biasBehind(product, index) : undefined;
    if (bias === undefined || [product, bias.add].some((node) => isExcluded(scheme, node)))
      continue;
    const rank = statistics.tensors.get(product.input[0] ?? '')?.shape.length ?? 0;
    if (rank === 2) join(product, bias, edit);
    else if (rank > 2) keepApart(bias, unique, edit);
  }
  return applyEdit(graph, edit);
}

interface Bias {
  readonly add: NodeProto;
  readonly tensor: TensorProto;
}

/** An Add of a constant row that alone reads the product of constant weights. */
function biasBehind(product: NodeProto, index: GraphIndex): Bias | undefined {
  const [output = ''] = product.output;
  const [add, ...others] = index.consumers.get(output) ?? [];
  if (add === undefined || others.length > 0 || index.outputs.has(output)) return undefined;
  const weight = index.initializers.get(product.input[1] ?? '');
  const name = add.input.find((one) => one !== output);
  const tensor = index.initializers.get(name ?? '');
  if (opName(add) !== 'Add' || weight?.dims.length !== 2 || tensor === undefined) return undefined;
  const isRow =
    tensor.dataType === DataType.FLOAT &&
    tensor.dims.at(-1) === weight.dims[1] &&
    tensor.dims.slice(0, -1).every((dim) => dim === 1);
  return isRow && tensor.dims.length <= 2 ? { add, tensor } : undefined;
}

function join(product: NodeProto, { add, tensor }: Bias, edit: GraphEdit): void {
  const input = [...product.input, tensor.name ?? ''];
  edit.replace.set(product, []);
  // Under the product's label, also where that is only the name of its output.
  const name = nodeLabel(product);
  edit.replace.set(add, [{ ...namelessNode('Gemm', input, add.output), name }]);
}

function keepApart({ add, tensor }: Bias, unique: (wish: string) => string, edit: GraphEdit): void {
  const from = tensor.name ?? '';
  const name = unique(`${from}_row`);
  edit.initializers.set(name, { ...tensor, name, dims: [1, 1, tensor.dims.at(-1) ?? 0] });
  const input = add.input.map((one) => (one === from ? name : one));
  edit.replace.set(add, [{ ...add, input }]);
}
