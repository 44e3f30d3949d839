import type { NodeProto, TensorProto } from '../../model/onnx/generated/messages.ts';
import {
  floatAttribute,
  intAttribute,
  intsAttribute,
  opName,
  stringAttribute,
} from '../../model/onnx/graph.ts';
import type { GraphIndex } from '../../model/onnx/graph.ts';
import { DataType, tensorData } from '../../model/onnx/tensor.ts';
import { isWeighted } from './op-table.ts';
import type { OpRule } from './op-table.ts';

/** What keeps a node from its integer kernel, whatever is around it; undefined when nothing does. */
export function obstacle(node: NodeProto, rule: OpRule, index: GraphIndex): string | undefined {
  return OF_OP.get(opName(node))?.(node, index) ?? ofWeights(node, rule, index);
}

type Check = (node: NodeProto, index: GraphIndex) => string | undefined;

const OF_OP: ReadonlyMap<string, Check> = new Map<string, Check>([
  ['Gemm', ofGemm],
  ['AveragePool', ofAveragePool],
  ['MaxPool', ofMaxPool],
  ['Resize', ofResize],
  ['Split', ofSplit],
]);

function ofGemm(node: NodeProto): string | undefined {
  if ((intAttribute(node, 'transA') ?? 0) !== 0) return 'Gemm with transA has no integer kernel';
  const scaled =
    (floatAttribute(node, 'alpha') ?? 1) !== 1 || (floatAttribute(node, 'beta') ?? 1) !== 1;
  return scaled ? 'Gemm with alpha or beta other than 1' : undefined;
}

function ofAveragePool(node: NodeProto): string | undefined {
  const dilated = intsAttribute(node, 'dilations')?.some((step) => step !== 1) ?? false;
  return dilated ? 'AveragePool with dilations has no integer kernel' : undefined;
}

function ofMaxPool(node: NodeProto): string | undefined {
  if ((node.output[1] ?? '') !== '') return 'MaxPool that returns indices has no integer kernel';
  const axes = intsAttribute(node, 'kernel_shape')?.length ?? 2;
  // Only windows in two dimensions have a vectorized kernel for bytes.
  return axes === 2 ? undefined : `MaxPool over ${axes} axes runs slower on bytes than in float`;
}

/** Only choosing values works on bytes: interpolation makes new ones, and cropping reads none. */
function ofResize(node: NodeProto): string | undefined {
  const mode = stringAttribute(node, 'mode') ?? 'nearest';
  const coordinates = stringAttribute(node, 'coordinate_transformation_mode');
  const moves = mode === 'nearest' && coordinates !== 'tf_crop_and_resize';
  return moves ? undefined : 'Resize that interpolates or crops has no integer kernel';
}

/** onnxruntime wants to see every output quantized; one that nobody reads is not. */
function ofSplit({ output }: NodeProto, { consumers, outputs }: GraphIndex): string | undefined {
  const unread = output.some((name) => !consumers.has(name) && !outputs.has(name));
  return unread ? 'one of its outputs is not read' : undefined;
}

function ofWeights(node: NodeProto, rule: OpRule, index: GraphIndex): string | undefined {
  if (!isWeighted(rule)) return undefined;
  const { role } = rule;
  const weight = index.initializers.get(node.input[1] ?? '');
  if (weight === undefined) return 'its weights are not constant';
  if (weight.dataType !== DataType.FLOAT) return 'its weights are not float32';
  if (weight.dims.length < 2) return 'its weights are a vector';
  if (role !== 'conv' && weight.dims.length > 2) return 'its weights have a batch axis';
  if (!allFinite(weight)) return 'its weights are not finite';
  const bias = role === 'matmul' ? '' : (node.input[2] ?? '');
  return bias === '' ? undefined : ofBias(index.initializers.get(bias));
}

function ofBias(bias: TensorProto | undefined): string | undefined {
  if (bias?.dataType !== DataType.FLOAT) return 'its bias is not constant';
  // Gemm adds C by broadcasting: a row, or one value for all; only a column or a matrix is no bias.
  if (bias.dims.slice(0, -1).some((dim) => dim !== 1)) return 'its bias is a matrix';
  return allFinite(bias) ? undefined : 'its bias is not finite';
}

/** Whether a tensor has neither infinite values nor NaN; integers never have. */
export function allFinite(tensor: TensorProto): boolean {
  const values = tensorData(tensor);
  if (!(values instanceof Float32Array)) return true;
  return values.every((value) => Number.isFinite(value));
}
