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
import { isExcluded } from './excluded.ts';
import { allFinite } from './obstacles.ts';
import { isQuantized } from './recognize.ts';
import { WeightStore } from './weight-store.ts';

/**
 * What the schemes without calibration share: a walk through every graph of a model, bodies of
 * control flow included, that puts fused operators of onnxruntime in the place of nodes with
 * constant weights.
 */

export interface Constant {
  readonly tensor: TensorProto;
  /** Of the graph that the tensor belongs to: what is made of it is stored there, for all to share. */
  readonly home: WeightStore;
}

interface Shared {
  readonly unique: (wish: string) => string;
  readonly scheme: Scheme;
  readonly ops: OpReport[];
  readonly stores: WeightStore[];
  readonly converters: Converters;
}

/** The constant of a name, as seen from one graph. */
type Scope = (name: string) => Constant | undefined;

export interface Context extends Shared {
  readonly index: GraphIndex;
  readonly constantOf: Scope;
  readonly edit: GraphEdit;
  /** Additions that a matrix product takes over as its bias. */
  readonly absorbed: Set<NodeProto>;
}

/** Rewrites a node; or says why it stays as it is. */
export type Converter = (node: NodeProto, context: Context) => string | undefined;

export interface Converters {
  readonly byOp: ReadonlyMap<string, Converter>;
  /** What to say when nothing was converted. */
  readonly nothing: string;
}

/** Converts all that the converters take. @throws QuantizeError when that is nothing */
export function convertModel(
  model: OnnxModel,
  scheme: Scheme,
  converters: Converters,
): Quantized<OnnxModel> {
  if (isQuantized(model)) {
    throw new QuantizeError('ALREADY_QUANTIZED', 'the model is quantized already');
  }
  const made = convertRest(model, scheme, converters);
  if (made === undefined) throw new QuantizeError('NOTHING_TO_QUANTIZE', converters.nothing);
  return made;
}

/** As convertModel, also for a model of which a part is quantized; undefined for nothing. */
export function convertRest(
  model: OnnxModel,
  scheme: Scheme,
  converters: Converters,
): Quantized<OnnxModel> | undefined {
  const ops: OpReport[] = [];
  const stores: WeightStore[] = [];
  const shared: Shared = { unique: nameMaker(model.graph), scheme, ops, stores, converters };
  const graph = convertGraph(model.graph, () => undefined, shared);
  if (stores.every((store) => store.isEmpty())) return undefined;
  return { model: withOpset(withGraph(model, graph), MS_DOMAIN, 1), ops };
}

/** Bodies first; they see the constants of the graphs around them. */
function convertGraph(graph: GraphProto, outer: Scope, shared: Shared): GraphProto {
  const index = indexGraph(graph);
  const isOwn = (name: string) =>
    index.initializers.has(name) || index.producer.has(name) || index.inputs.has(name);
  const edit = newEdit();
  const home = new WeightStore(edit, shared.unique, shared.scheme);
  shared.stores.push(home);
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
  return dropUnused(home.decode(applyEdit(graph, context.edit)));
}

function convert(node: NodeProto, context: Context): void {
  const op = opName(node);
  const row = { node: nodeLabel(node), op };
  if (context.absorbed.has(node)) {
    context.ops.push({ ...row, precision: 'integer' });
    return;
  }
  const { byOp } = context.converters;
  const excluded = isExcluded(context.scheme, node);
  const converter = excluded ? undefined : byOp.get(op);
  const problem = excluded
    ? 'excluded by request'
    : converter === undefined
      ? 'has no weights to quantize'
      : converter(node, context);
  if (problem === undefined) context.ops.push({ ...row, precision: 'integer' });
  else context.ops.push({ ...row, precision: 'float', reason: problem });
}

export const NOT_FINITE = 'its weights are not finite';

export function floatConstant(
  name: string | undefined,
  { constantOf }: Context,
): Constant | undefined {
  const found = constantOf(name ?? '');
  return found?.tensor.dataType === DataType.FLOAT ? found : undefined;
}

/** A product of an activation with constant weights, as the fused operators take it. */
export interface Product {
  readonly x: string;
  readonly weight: Constant;
  /** Whether the weights are stored as [N, K]. */
  readonly transposed: boolean;
  /** Name of a vector of N values. */
  readonly bias: string | undefined;
  readonly output: readonly string[];
}

/** The product that a MatMul computes, with the Add of a bias behind it; or why there is none. */
export function matMulProduct(node: NodeProto, context: Context): Product | string {
  const weight = floatConstant(node.input[1], context);
  if (weight === undefined) return noWeights(node, context);
  const { tensor } = weight;
  if (!allFinite(tensor)) return NOT_FINITE;
  if (tensor.dims.length !== 2) return `its weights have ${tensor.dims.length} axes, not 2`;
  const add = biasBehind(node, tensor.dims[1] ?? 0, context);
  if (add !== undefined) {
    context.edit.replace.set(add.node, []);
    context.absorbed.add(add.node);
  }
  const { output } = add?.node ?? node;
  return { x: node.input[0] ?? '', weight, transposed: false, bias: add?.bias, output };
}

/** Why a product has no weights that a fused operator takes. */
function noWeights({ input: [left = '', right = ''] }: NodeProto, { constantOf }: Context): string {
  if (constantOf(right) !== undefined) return 'its weights are not float32';
  if (constantOf(left) === undefined) return 'both factors are activations';
  return 'its weights are the left factor, which has no integer kernel';
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

/** The product that a Gemm computes; or why no fused operator computes it. */
export function gemmProduct(node: NodeProto, context: Context): Product | string {
  const weight = floatConstant(node.input[1], context);
  if (weight === undefined) return 'its weights are not constant';
  const { tensor } = weight;
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
  return { x: node.input[0] ?? '', weight, transposed, bias, output: node.output };
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

/** Puts an operator of onnxruntime's own in the place of a node. */
export function replaceBy(
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
