import type { GraphEdit } from '../../../model/onnx/edit.ts';
import { applyEdit, newEdit } from '../../../model/onnx/edit.ts';
import type {
  AttributeProto,
  GraphProto,
  NodeProto,
} from '../../../model/onnx/generated/messages.ts';
import {
  MS_DOMAIN,
  floatAttribute,
  indexGraph,
  intAttribute,
  makeAttribute,
  nameMaker,
  namelessNode,
  opName,
  stringAttribute,
} from '../../../model/onnx/graph.ts';
import type { GraphIndex } from '../../../model/onnx/graph.ts';
import { floatTensor } from '../../../model/onnx/tensor.ts';

interface Context {
  readonly index: GraphIndex;
  readonly edit: GraphEdit;
  readonly unique: (wish: string) => string;
}

/**
 * Takes apart what onnxruntime fused when somebody saved its optimized model: FusedConv, FusedGemm and
 * FusedMatMul have no integer kernels, their parts have, and are fused again when the model is loaded
 * (onnxruntime, docs/ContribOperators.md).
 */
export function unfuse(graph: GraphProto): GraphProto {
  const context = { index: indexGraph(graph), edit: newEdit(), unique: nameMaker(graph) };
  for (const node of graph.node) {
    const parts = PARTS.get(opName(node))?.(node, context);
    if (parts !== undefined) context.edit.replace.set(node, parts);
  }
  return applyEdit(graph, context.edit);
}

type Split = (node: NodeProto, context: Context) => readonly NodeProto[] | undefined;

const PARTS: ReadonlyMap<string, Split> = new Map<string, Split>([
  [`${MS_DOMAIN}.FusedConv`, splitConv],
  [`${MS_DOMAIN}.FusedGemm`, splitGemm],
  [`${MS_DOMAIN}.FusedMatMul`, splitMatMul],
]);

/** The attributes that a fused activation's one or two numbers become. */
const ACTIVATIONS: Readonly<Record<string, readonly string[]>> = {
  Relu: [],
  Tanh: [],
  Sigmoid: [],
  LeakyRelu: ['alpha'],
  HardSigmoid: ['alpha', 'beta'],
};

function splitConv(node: NodeProto, context: Context): readonly NodeProto[] | undefined {
  const [x = '', w = '', bias = '', added = ''] = node.input;
  const numbers = node.attribute.find(({ name }) => name === 'activation_params')?.floats ?? [];
  const output = node.output[0] ?? '';
  const sum = context.unique(`${output}_sum`);
  const behind = activation(node, sum, numbers, context);
  if (behind === undefined) return undefined;
  const conv = added === '' ? sum : context.unique(`${output}_conv`);
  const input = bias === '' ? [x, w] : [x, w, bias];
  return [
    plain(node, 'Conv', input, conv),
    ...(added === '' ? [] : [namelessNode('Add', [conv, added], [sum])]),
    behind,
  ];
}

function splitGemm(node: NodeProto, context: Context): readonly NodeProto[] | undefined {
  const sum = context.unique(`${node.output[0] ?? ''}_gemm`);
  const numbers = ['activation_alpha', 'activation_beta'].flatMap((name) => {
    const value = floatAttribute(node, name);
    return value === undefined ? [] : [value];
  });
  const behind = activation(node, sum, numbers, context);
  return behind && [plain(node, 'Gemm', node.input, sum), behind];
}

/** A product of which at most the constant factor is transposed, times a number. */
function splitMatMul(node: NodeProto, context: Context): readonly NodeProto[] | undefined {
  const flags = ['transA', 'transBatchA', 'transBatchB'];
  if (flags.some((name) => (intAttribute(node, name) ?? 0) !== 0)) return undefined;
  const [a = '', b = ''] = node.input;
  const output = node.output[0] ?? '';
  const isTransposed = (intAttribute(node, 'transB') ?? 0) !== 0;
  const rank = context.index.initializers.get(b)?.dims.length;
  if (isTransposed && rank === undefined) return undefined;
  const turned = isTransposed ? context.unique(`${b}_transposed`) : b;
  const alpha = floatAttribute(node, 'alpha') ?? 1;
  const product = alpha === 1 ? output : context.unique(`${output}_product`);
  return [
    ...(isTransposed ? [transpose(b, turned, rank ?? 2)] : []),
    plain(node, 'MatMul', [a, turned], product),
    ...(alpha === 1 ? [] : [scale(product, alpha, output, context)]),
  ];
}

/** The standard node of the fused one, with its own attributes alone. */
function plain(node: NodeProto, op: string, input: readonly string[], output: string): NodeProto {
  const isOwn = ({ name = '' }: AttributeProto) =>
    op === 'MatMul' ? false : !name.startsWith('activation');
  const made = namelessNode(op, input, [output]);
  return { ...made, name: node.name, attribute: node.attribute.filter(isOwn) };
}

/** The fused activation as a node; undefined for one that is not known. */
function activation(
  node: NodeProto,
  x: string,
  numbers: readonly number[],
  { edit, unique }: Context,
): NodeProto | undefined {
  const op = stringAttribute(node, 'activation') ?? '';
  const [output = ''] = node.output;
  if (op === 'Clip' && numbers.length === 2) {
    const bounds = numbers.map((bound) => {
      const name = unique(`${output}_bound`);
      edit.initializers.set(name, floatTensor(name, bound));
      return name;
    });
    return namelessNode('Clip', [x, ...bounds], [output]);
  }
  const names = ACTIVATIONS[op];
  if (names === undefined || numbers.length < names.length) return undefined;
  const attribute = names.map((name, at) => makeAttribute(name, numbers[at] ?? 0));
  return { ...namelessNode(op, [x], [output]), attribute };
}

function transpose(from: string, to: string, rank: number): NodeProto {
  const axes = Array.from({ length: rank }, (_, axis) => BigInt(axis));
  const perm = [...axes.slice(0, -2), BigInt(rank - 1), BigInt(rank - 2)];
  return namelessNode('Transpose', [from], [to], { perm });
}

function scale(from: string, factor: number, to: string, { edit, unique }: Context): NodeProto {
  const name = unique(`${to}_factor`);
  edit.initializers.set(name, floatTensor(name, factor));
  return namelessNode('Mul', [from, name], [to]);
}
