import type { GraphProto, NodeProto } from '../../../model/onnx/generated/messages.ts';
import { applyEdit, newEdit } from '../../../model/onnx/edit.ts';
import {
  indexGraph,
  intAttribute,
  intsAttribute,
  makeNode,
  nameMaker,
  onlyReader,
  opName,
  withAttributes,
} from '../../../model/onnx/graph.ts';
import type { GraphIndex } from '../../../model/onnx/graph.ts';
import { int64Tensor, tensorNumbers } from '../../../model/onnx/tensor.ts';

/**
 * A MaxPool over three axes that only strides over the first, between Unsqueeze and Squeeze, is a
 * MaxPool over two axes of every n-th channel. Only the latter has fast kernels, in bytes and in
 * float. It is how networks thin out channels without weights.
 */
export function flattenPool(graph: GraphProto): GraphProto {
  const index = indexGraph(graph);
  const unique = nameMaker(graph);
  const edit = newEdit();
  for (const pool of graph.node) {
    const squeeze = onlyReader(pool, index);
    const unsqueeze = index.producer.get(pool.input[0] ?? '');
    if (opName(pool) !== 'MaxPool' || unsqueeze === undefined || squeeze === undefined) continue;
    if (!isAxisOne(unsqueeze, 'Unsqueeze', index) || !isAxisOne(squeeze, 'Squeeze', index))
      continue;
    const flat = flatPool(pool);
    if (flat === undefined || onlyReader(unsqueeze, index) !== pool) continue;
    const [x = ''] = unsqueeze.input;
    const output = squeeze.output;
    if (flat.step === 1) edit.replace.set(pool, [{ ...flat.node, input: [x], output }]);
    else {
      const names = ['starts', 'ends', 'axes', 'steps'].map((part) => unique(`${x}_${part}`));
      const values = [[0], [2n ** 63n - 1n], [1], [flat.step]];
      names.forEach((name, i) => edit.initializers.set(name, int64Tensor(name, values[i] ?? [])));
      const thinned = unique(`${x}_thinned`);
      const slice = makeNode('Slice', [x, ...names], [thinned], { name: unique('thin') });
      edit.replace.set(pool, [slice, { ...flat.node, input: [thinned], output }]);
    }
    edit.replace.set(unsqueeze, []);
    edit.replace.set(squeeze, []);
  }
  return applyEdit(graph, edit);
}

function isAxisOne(node: NodeProto, op: string, index: GraphIndex): boolean {
  const axes = index.initializers.get(node.input[1] ?? '');
  return opName(node) === op && axes !== undefined && tensorNumbers(axes).join() === '1';
}

const big = (values: readonly number[]) => values.map(BigInt);

/** The pool without its first axis, and the step over it; undefined when that axis is pooled. */
function flatPool(pool: NodeProto): { node: NodeProto; step: number } | undefined {
  const kernel = intsAttribute(pool, 'kernel_shape') ?? [];
  const strides = intsAttribute(pool, 'strides') ?? [1, 1, 1];
  const pads = intsAttribute(pool, 'pads') ?? [0, 0, 0, 0, 0, 0];
  const dilations = intsAttribute(pool, 'dilations') ?? [1, 1, 1];
  const known = pool.attribute.every(({ name }) => name !== 'auto_pad');
  const thin = kernel.length === 3 && kernel[0] === 1 && pads[0] === 0 && pads[3] === 0;
  if (!thin || !known || (intAttribute(pool, 'storage_order') ?? 0) !== 0) return undefined;
  const node = withAttributes(pool, {
    kernel_shape: big(kernel.slice(1)),
    strides: big(strides.slice(1)),
    pads: big([...pads.slice(1, 3), ...pads.slice(4)]),
    dilations: big(dilations.slice(1)),
  });
  return { node, step: strides[0] ?? 1 };
}
