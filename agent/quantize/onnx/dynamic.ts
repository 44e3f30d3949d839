import type { Scheme } from '../../contracts/scheme.ts';
import type { GraphProto, NodeProto, TensorProto } from '../../model/onnx/generated/messages.ts';
import { applyEdit, dropUnused, newEdit } from '../../model/onnx/edit.ts';
import type { GraphEdit } from '../../model/onnx/edit.ts';
import {
  MS_DOMAIN,
  floatAttribute,
  indexGraph,
  intAttribute,
  mapBodies,
  nameMaker,
  namelessNode,
  nodeLabel,
  opName,
} from '../../model/onnx/graph.ts';
import type { GraphIndex } from '../../model/onnx/graph.ts';
import { withGraph, withOpset } from '../../model/onnx/open.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';
import { DataType } from '../../model/onnx/tensor.ts';
import { QuantizeError } from '../errors.ts';
import type { OpReport, Quantized } from '../report.ts';
import { WeightStore } from './dynamic-weights.ts';
import { isExcluded } from './excluded.ts';
import { allFinite } from './obstacles.ts';
import { isQuantized } from './recognize.ts';

/**
 * Dynamic INT8: int8 weights, activations quantized while the model runs. Writes onnxruntime's fused
 * operators (com.microsoft.DynamicQuantizeMatMul, com.microsoft.DynamicQuantizeLSTM) directly, so
 * that nothing depends on a fusion. Reaches into control-flow bodies: it needs no calibration.
 */
export function quantizeDynamic(model: OnnxModel, scheme: Scheme): Quantized<OnnxModel> {
  if (isQuantized(model)) {
    throw new QuantizeError('ALREADY_QUANTIZED', 'the model is quantized already');
  }
  const ops: OpReport[] = [];
  const shared: Shared = { unique: nameMaker(model.graph), scheme, ops };
  const graph = convertGraph(model.graph, () => undefined, shared);
  if (!ops.some(({ precision }) => precision === 'integer')) {
    const message =
      'no MatMul, Gemm or LSTM with constant weights: nothing to quantize dynamically';
    throw new QuantizeError('NOTHING_TO_QUANTIZE', message);
  }
  return { model: withOpset(withGraph(model, graph), MS_DOMAIN, 1), ops };
}

interface Constant {
  readonly tensor: TensorProto;
  /** Of the graph that the tensor belongs to: what is made of it is stored there, for all to share. */
  readonly home: WeightStore;
}

interface Shared {
  readonly unique: (wish: string) => string;
  readonly scheme: Scheme;
  readonly ops: OpReport[];
}

/** The constant of a name, as seen from one graph. */
type Scope = (name: string) => Constant | undefined;

interface Context extends Shared {
  readonly index: GraphIndex;
  readonly constantOf: Scope;
  readonly edit: GraphEdit;
  /** Additions that a matrix product takes over as its bias. */
  readonly absorbed: Set<NodeProto>;
}

/** Bodies first; they see the constants of the graphs around them. */
function convertGraph(graph: GraphProto, outer: Scope, shared: Shared): GraphProto {
  const index = indexGraph(graph);
  const isOwn = (name: string) =>
    index.initializers.has(name) || index.producer.has(name) || index.inputs.has(name);
  const edit = newEdit();
  const home = new WeightStore(edit, shared.unique, shared.scheme);
  const constantOf: Scope = (name) => {
    if (!isOwn(name)) return outer(name);
    const tensor = index.initializers.get(name);
    return tensor === undefined ? undefined : { tensor, home };
  };
  const context: Context = { ...shared, index, constantOf, edit, absorbed: new Set() };
  for (const node of graph.node) {
    const inner = mapBodies(node, (body) => convertGraph(body, constantOf, shared));
    if (inner !== node) context.edit.replace.set(node, [inner]);
    convert(node, context);
  }
  return dropUnused(applyEdit(graph, context.edit));
}

type Converter = (node: NodeProto, context: Context) => string | undefined;

const CONVERTERS: ReadonlyMap<string, Converter> = new Map<string, Converter>([
  ['MatMul', convertMatMul],
  ['Gemm', convertGemm],
  ['LSTM', convertLstm],
]);

const NOT_FINITE = 'its weights are not finite';

const WHY_FLOAT: ReadonlyMap<string, string> = new Map([
  ['Conv', 'a dynamic convolution (ConvInteger) runs slower than float: use int8-static'],
  ['GRU', 'onnxruntime has no integer GRU on the CPU'],
]);

function convert(node: NodeProto, context: Context): void {
  const op = opName(node);
  const row = { node: nodeLabel(node), op };
  if (context.absorbed.has(node)) {
    context.ops.push({ ...row, precision: 'integer' });
    return;
  }
  const excluded = isExcluded(context.scheme, node);
  const converter = excluded ? undefined : CONVERTERS.get(op);
  const problem = excluded
    ? 'excluded by request'
    : converter === undefined
      ? (WHY_FLOAT.get(op) ?? 'has no weights to quantize')
      : converter(node, context);
  if (problem === undefined) context.ops.push({ ...row, precision: 'integer' });
  else context.ops.push({ ...row, precision: 'float', reason: problem });
}

function floatConstant(name: string | undefined, { constantOf }: Context): Constant | undefined {
  const found = constantOf(name ?? '');
  return found?.tensor.dataType === DataType.FLOAT ? found : undefined;
}

/** Why a product has no weights that an integer kernel takes. */
function noWeights({ input: [left = '', right = ''] }: NodeProto, { constantOf }: Context): string {
  if (constantOf(right) !== undefined) return 'its weights are not float32';
  if (constantOf(left) === undefined) return 'both factors are activations';
  return 'its weights are the left factor, which has no integer kernel';
}

function convertMatMul(node: NodeProto, context: Context): string | undefined {
  const weight = floatConstant(node.input[1], context);
  if (weight === undefined) return noWeights(node, context);
  const { tensor, home } = weight;
  if (!allFinite(tensor)) return NOT_FINITE;
  if (tensor.dims.length !== 2) return `its weights have ${tensor.dims.length} axes, not 2`;
  const add = biasBehind(node, tensor.dims[1] ?? 0, context);
  const weights = home.matrix(tensor, false);
  const output = (add?.node ?? node).output;
  if (add !== undefined) {
    context.edit.replace.set(add.node, []);
    context.absorbed.add(add.node);
  }
  const input = [node.input[0] ?? '', ...weights, ...(add === undefined ? [] : [add.bias])];
  replaceBy(node, 'DynamicQuantizeMatMul', input, output, context);
  return undefined;
}

/** An Add of a constant vector that alone reads a matrix product. */
function biasBehind(
  node: NodeProto,
  columns: number,
  context: Context,
): { readonly node: NodeProto; readonly bias: string } | undefined {
  const output = node.output[0] ?? '';
  const [reader, ...others] = context.index.consumers.get(output) ?? [];
  if (reader === undefined || others.length > 0 || context.index.outputs.has(output))
    return undefined;
  if (opName(reader) !== 'Add' || isExcluded(context.scheme, reader)) return undefined;
  const bias = reader.input.find((name) => name !== output);
  const dims = floatConstant(bias, context)?.tensor.dims;
  if (bias === undefined || dims?.length !== 1 || dims[0] !== columns) return undefined;
  return { node: reader, bias };
}

function convertGemm(node: NodeProto, context: Context): string | undefined {
  const weight = floatConstant(node.input[1], context);
  if (weight === undefined) return 'its weights are not constant';
  const { tensor, home } = weight;
  if (!allFinite(tensor)) return NOT_FINITE;
  if ((intAttribute(node, 'transA') ?? 0) !== 0) return 'Gemm with transA has no integer kernel';
  const alpha = floatAttribute(node, 'alpha') ?? 1;
  const beta = floatAttribute(node, 'beta') ?? 1;
  const transposed = (intAttribute(node, 'transB') ?? 0) !== 0;
  const width = tensor.dims[transposed ? 0 : 1] ?? 0;
  const hasBias = (node.input[2] ?? '') !== '';
  const bias = hasBias && beta === 1 ? rowOf(node.input[2], width, context) : undefined;
  if (alpha !== 1 || (hasBias && bias === undefined)) {
    return 'its bias or factors need a Gemm in float';
  }
  const input = [node.input[0] ?? '', ...home.matrix(tensor, transposed)];
  if (bias !== undefined) input.push(bias);
  replaceBy(node, 'DynamicQuantizeMatMul', input, node.output, context);
  return undefined;
}

/** The name of a bias as a vector: Gemm takes one value for all, or a row of a matrix, too. */
function rowOf(name: string | undefined, width: number, context: Context): string | undefined {
  const bias = floatConstant(name, context);
  if (bias === undefined) return undefined;
  const { dims } = bias.tensor;
  const last = dims.at(-1) ?? 1;
  const isRow = dims.slice(0, -1).every((dim) => dim === 1) && (last === width || last === 1);
  if (!isRow) return undefined;
  const isVector = dims.length === 1 && last === width;
  return isVector ? bias.tensor.name : bias.home.vector(bias.tensor, width);
}

/** What the integer LSTM knows; it refuses others, `layout` even when that is 0. */
const LSTM_ATTRIBUTES: ReadonlySet<string> = new Set([
  'activation_alpha',
  'activation_beta',
  'activations',
  'clip',
  'direction',
  'hidden_size',
  'input_forget',
]);

/**
 * com.microsoft.DynamicQuantizeLSTM takes W and R as int8 [directions, inputs, 4 * hidden], that is
 * transposed, with a scale per direction and gate row.
 */
function convertLstm(node: NodeProto, context: Context): string | undefined {
  const weight = floatConstant(node.input[1], context);
  const recurrent = floatConstant(node.input[2], context);
  if (weight === undefined || recurrent === undefined) return 'its weights are not constant';
  if (!allFinite(weight.tensor) || !allFinite(recurrent.tensor)) return NOT_FINITE;
  if (intAttribute(node, 'layout') === 1) return 'LSTM with layout 1 has no integer kernel';
  const [w, ...wScale] = weight.home.gates(weight.tensor);
  const [r, ...rScale] = recurrent.home.gates(recurrent.tensor);
  const rest = [3, 4, 5, 6, 7].map((position) => node.input[position] ?? '');
  const input = [node.input[0] ?? '', w, r, ...rest, ...wScale, ...rScale];
  const attribute = node.attribute.filter(({ name = '' }) => LSTM_ATTRIBUTES.has(name));
  replaceBy(node, 'DynamicQuantizeLSTM', input, node.output, context, attribute);
  return undefined;
}

function replaceBy(
  node: NodeProto,
  op: string,
  input: readonly string[],
  output: readonly string[],
  { edit }: Context,
  attribute: NodeProto['attribute'] = [],
): void {
  const made = { ...namelessNode(op, input, output), name: node.name, domain: MS_DOMAIN };
  edit.replace.set(node, [{ ...made, attribute }]);
}
