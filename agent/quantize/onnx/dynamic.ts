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
import { DataType, makeTensor, tensorData } from '../../model/onnx/tensor.ts';
import { channelMaxima, channelView, quantizeChannels, symmetricParams } from '../arithmetic.ts';
import { QuantizeError } from '../errors.ts';
import type { OpReport, Quantized } from '../report.ts';
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

interface Shared {
  readonly unique: (wish: string) => string;
  readonly scheme: Scheme;
  readonly ops: OpReport[];
}

/** The constant of a name, as seen from one graph. */
type Scope = (name: string) => TensorProto | undefined;

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
  const constantOf: Scope = (name) => (isOwn(name) ? index.initializers.get(name) : outer(name));
  const context: Context = { ...shared, index, constantOf, edit: newEdit(), absorbed: new Set() };
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

function constant(name: string | undefined, { constantOf }: Context): TensorProto | undefined {
  const tensor = constantOf(name ?? '');
  return tensor?.dataType === DataType.FLOAT ? tensor : undefined;
}

function convertMatMul(node: NodeProto, context: Context): string | undefined {
  const weight = constant(node.input[1], context);
  if (weight === undefined) return 'both factors are activations';
  if (!allFinite(weight)) return NOT_FINITE;
  if (weight.dims.length !== 2) return `its weights have ${weight.dims.length} axes, not 2`;
  const add = biasBehind(node, weight.dims[1] ?? 0, context);
  const weights = byColumn(weight, floatsOf(weight), weight.dims, context);
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
  const dims = constant(bias, context)?.dims;
  if (bias === undefined || dims?.length !== 1 || dims[0] !== columns) return undefined;
  return { node: reader, bias };
}

function convertGemm(node: NodeProto, context: Context): string | undefined {
  const weight = constant(node.input[1], context);
  if (weight === undefined) return 'its weights are not constant';
  if (!allFinite(weight)) return NOT_FINITE;
  if ((intAttribute(node, 'transA') ?? 0) !== 0) return 'Gemm with transA has no integer kernel';
  const alpha = floatAttribute(node, 'alpha') ?? 1;
  const beta = floatAttribute(node, 'beta') ?? 1;
  const [rows = 0, columns = 0] = weight.dims;
  const transposed = (intAttribute(node, 'transB') ?? 0) !== 0;
  const width = transposed ? rows : columns;
  const biasName = node.input[2] ?? '';
  const bias = constant(biasName, context);
  const plain =
    bias !== undefined && bias.dims.length === 1 && bias.dims[0] === width && beta === 1;
  if (alpha !== 1 || (biasName !== '' && !plain)) return 'its bias or factors need a Gemm in float';
  const values = transposed ? transpose(floatsOf(weight), rows, columns) : floatsOf(weight);
  const dims = transposed ? [columns, rows] : weight.dims;
  const input = [node.input[0] ?? '', ...byColumn(weight, values, dims, context)];
  if (biasName !== '') input.push(biasName);
  replaceBy(node, 'DynamicQuantizeMatMul', input, node.output, context);
  return undefined;
}

/** Adds int8 weights [K, N] with one scale a column; returns the names B, B_scale, B_zero_point. */
function byColumn(
  weight: TensorProto,
  values: Float32Array,
  dims: readonly number[],
  context: Context,
): string[] {
  const view = channelView(dims, context.scheme.perChannel ? 1 : 0);
  const all = { outer: 1, channels: 1, inner: values.length };
  const { data, scales } = int8(values, context.scheme.perChannel ? view : all, context.scheme);
  const stem = weight.name ?? 'weight';
  const names = ['int8', 'scale', 'zero_point'].map((part) => context.unique(`${stem}_${part}`));
  const [b = '', scale = '', zero = ''] = names;
  const vector = context.scheme.perChannel ? [scales.length] : [];
  addInitializers(context, [
    makeTensor(b, DataType.INT8, dims, data),
    makeTensor(scale, DataType.FLOAT, vector, scales),
    makeTensor(zero, DataType.INT8, vector, new Int8Array(scales.length)),
  ]);
  return names;
}

function int8(
  values: Float32Array,
  view: { outer: number; channels: number; inner: number },
  scheme: Scheme,
): { data: Int8Array; scales: Float32Array } {
  const maxima = channelMaxima(values, view);
  const scales = Float32Array.from(
    maxima,
    (m) => symmetricParams(m, 's8', scheme.reduceRange).scale,
  );
  return { data: quantizeChannels(values, view, scales), scales };
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
  const weight = constant(node.input[1], context);
  const recurrent = constant(node.input[2], context);
  if (weight === undefined || recurrent === undefined) return 'its weights are not constant';
  if (!allFinite(weight) || !allFinite(recurrent)) return NOT_FINITE;
  if (intAttribute(node, 'layout') === 1) return 'LSTM with layout 1 has no integer kernel';
  const w = lstmWeights(weight, context);
  const r = lstmWeights(recurrent, context);
  const rest = [3, 4, 5, 6, 7].map((position) => node.input[position] ?? '');
  const input = [
    node.input[0] ?? '',
    w.values,
    r.values,
    ...rest,
    w.scale,
    w.zero,
    r.scale,
    r.zero,
  ];
  const attribute = node.attribute.filter(({ name = '' }) => LSTM_ATTRIBUTES.has(name));
  replaceBy(node, 'DynamicQuantizeLSTM', input, node.output, context, attribute);
  return undefined;
}

function lstmWeights(
  tensor: TensorProto,
  context: Context,
): { values: string; scale: string; zero: string } {
  const [directions = 1, gates = 0, inputs = 0] = tensor.dims;
  const floats = floatsOf(tensor);
  const turned = new Float32Array(floats.length);
  for (let d = 0; d < directions; d++) {
    const part = floats.subarray(d * gates * inputs, (d + 1) * gates * inputs);
    turned.set(transpose(part, gates, inputs), d * gates * inputs);
  }
  const scales = new Float32Array(directions * gates);
  const data = new Int8Array(floats.length);
  for (let d = 0; d < directions; d++) {
    const part = turned.subarray(d * gates * inputs, (d + 1) * gates * inputs);
    const made = int8(part, channelView([inputs, gates], 1), context.scheme);
    data.set(made.data, d * gates * inputs);
    scales.set(made.scales, d * gates);
  }
  const stem = tensor.name ?? 'weight';
  const values = context.unique(`${stem}_int8`);
  const scale = context.unique(`${stem}_scale`);
  const zero = context.unique(`${stem}_zero_point`);
  addInitializers(context, [
    makeTensor(values, DataType.INT8, [directions, inputs, gates], data),
    makeTensor(scale, DataType.FLOAT, [directions, gates], scales),
    makeTensor(zero, DataType.INT8, [directions, gates], new Int8Array(scales.length)),
  ]);
  return { values, scale, zero };
}

function addInitializers({ edit }: Context, tensors: readonly TensorProto[]): void {
  for (const tensor of tensors) edit.initializers.set(tensor.name ?? '', tensor);
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

function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) result[c * rows + r] = values[r * columns + c] ?? 0;
  }
  return result;
}

function floatsOf(tensor: TensorProto): Float32Array {
  const data = tensorData(tensor);
  return data instanceof Float32Array ? data : new Float32Array(0);
}
