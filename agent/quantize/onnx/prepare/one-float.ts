import type {
  AttributeProto,
  GraphProto,
  NodeProto,
  TensorProto,
  ValueInfoProto,
} from '../../../model/onnx/generated/messages.ts';
import {
  allNodes,
  intAttribute,
  makeAttribute,
  mapBodies,
  nameMaker,
  namelessNode,
  opName,
  renameInputs,
} from '../../../model/onnx/graph.ts';
import { withGraph } from '../../../model/onnx/open.ts';
import type { OnnxModel } from '../../../model/onnx/open.ts';
import { DataType, elementCount, makeTensor, tensorData } from '../../../model/onnx/tensor.ts';
import { inferTypes } from '../../../model/onnx/types.ts';
import type { TypeMap } from '../../../model/onnx/types.ts';
import { float16ToNumber } from '../../../model/small-floats.ts';

/** Element types that become float32. */
export type Widths = ReadonlySet<number>;

export const OTHER_FLOATS: Widths = new Set([DataType.FLOAT16, DataType.DOUBLE]);
export const DOUBLES: Widths = new Set([DataType.DOUBLE]);

const LARGEST = (2 - 2 ** -23) * 2 ** 127;

/**
 * The model in float32 where its weights are of other floats, so that one set of rules serves all of
 * them. Its own inputs and outputs keep their types, with casts behind and before them.
 * A model without such a weight is left as it is, whatever it casts to in between; a single one, and all
 * of the model is changed.
 */
export function withOneFloat(model: OnnxModel, widths: Widths = OTHER_FLOATS): OnnxModel {
  if (!hasWeights(model.graph, widths) || !isOfTensors(model.graph)) return model;
  const context = { widths, types: inferTypes(model) };
  return withGraph(model, withEdges(model.graph, changed(model.graph, context), widths));
}

interface Context {
  readonly widths: Widths;
  readonly types: TypeMap;
}

const isWeight = ({ dataType, dims }: TensorProto, widths: Widths) =>
  widths.has(dataType ?? 0) && dims.length >= 2 && elementCount(dims) > 1;

/** Whether a weight of two axes or more has one of these element types. */
export function hasWeights(graph: GraphProto, widths: Widths): boolean {
  const bodies = [...allNodes(graph)].flatMap(({ attribute }) => attribute);
  const constants = bodies.flatMap(({ t, g }) => [...(t ? [t] : []), ...(g?.initializer ?? [])]);
  return [...graph.initializer, ...constants].some((tensor) => isWeight(tensor, widths));
}

/** Sequences and optionals name their element types elsewhere; a constant output has no maker. */
function isOfTensors({ input, output, initializer }: GraphProto): boolean {
  const constants = new Set(initializer.map(({ name }) => name));
  const values = [...input, ...output];
  return (
    values.every(({ type }) => type?.tensorType !== undefined) &&
    output.every(({ name }) => !constants.has(name))
  );
}

function changed(graph: GraphProto, context: Context): GraphProto {
  const { widths, types } = context;
  const typeOf = types.inside(graph);
  const isFloat = (type = 0) => type === DataType.FLOAT || widths.has(type);
  const node = graph.node.map((one): NodeProto => {
    const attribute = one.attribute.map((each) => changedAttribute(each, widths));
    const inside = mapBodies({ ...one, attribute }, (body) => changed(body, context));
    const isCast = opName(one) === 'Cast' && isFloat(typeOf(one.input[0] ?? ''));
    const isNothing = isCast && isFloat(intAttribute(one, 'to'));
    return isNothing ? { ...inside, opType: 'Identity', attribute: [] } : inside;
  });
  const declared = (values: readonly ValueInfoProto[]) =>
    values.map((value) => changedValue(value, widths));
  return {
    ...graph,
    node,
    initializer: graph.initializer.map((tensor) => changedTensor(tensor, widths)),
    input: declared(graph.input),
    output: declared(graph.output),
    valueInfo: declared(graph.valueInfo),
  };
}

function changedTensor(tensor: TensorProto, widths: Widths): TensorProto {
  if (!widths.has(tensor.dataType ?? 0)) return tensor;
  const data: ArrayLike<number | bigint> = tensorData(tensor);
  const isHalf = tensor.dataType === DataType.FLOAT16;
  // Whole weights: arrays of plain numbers would take several times the memory of the result.
  const values = new Float32Array(data.length);
  for (let at = 0; at < data.length; at++) {
    const stored = Number(data[at]);
    const value = isHalf ? float16ToNumber(stored) : stored;
    // The lowest number of a mask is still a number.
    values[at] = Number.isFinite(value) ? Math.min(LARGEST, Math.max(-LARGEST, value)) : value;
  }
  return makeTensor(tensor.name ?? '', DataType.FLOAT, tensor.dims, values);
}

/** Values of constants, and element types by name (`to` of Cast, `dtype` of what makes numbers). */
function changedAttribute(one: AttributeProto, widths: Widths): AttributeProto {
  if (one.t !== undefined) return { ...one, t: changedTensor(one.t, widths) };
  const names = one.name === 'to' || one.name === 'dtype';
  return names && widths.has(Number(one.i ?? 0n))
    ? makeAttribute(one.name ?? '', BigInt(DataType.FLOAT))
    : one;
}

function changedValue(value: ValueInfoProto, widths: Widths): ValueInfoProto {
  const { type } = value;
  if (type?.tensorType === undefined || !widths.has(type.tensorType.elemType ?? 0)) return value;
  const tensorType = { ...type.tensorType, elemType: DataType.FLOAT };
  return { ...value, type: { ...type, tensorType } };
}

/** The changed graph with the inputs and outputs of the original, and casts at them. */
function withEdges(original: GraphProto, graph: GraphProto, widths: Widths): GraphProto {
  const unique = nameMaker(graph);
  const isOther = ({ type }: ValueInfoProto) => widths.has(type?.tensorType?.elemType ?? 0);
  const constants = new Set(original.initializer.map(({ name }) => name));
  const fresh = (values: readonly ValueInfoProto[]) =>
    new Map(values.filter(isOther).map(({ name = '' }) => [name, unique(`${name}_float32`)]));
  const inputs = fresh(original.input.filter(({ name }) => !constants.has(name)));
  const outputs = fresh(original.output);
  for (const name of inputs.keys()) outputs.delete(name);
  const typeOf = new Map(original.output.map(({ name = '', type }) => [name, type]));
  const renames = new Map([...inputs, ...outputs]);
  const inner = graph.node.map((one) => {
    const node = renameInputs(one, renames);
    return { ...node, output: node.output.map((name) => outputs.get(name) ?? name) };
  });
  const back = [...outputs].map(([name, from]) =>
    cast(from, name, typeOf.get(name)?.tensorType?.elemType ?? DataType.FLOAT),
  );
  return {
    ...graph,
    node: [...[...inputs].map(([name, to]) => cast(name, to, DataType.FLOAT)), ...inner, ...back],
    input: graph.input.map((value, at) =>
      inputs.has(value.name ?? '') ? (original.input[at] ?? value) : value,
    ),
    output: original.output,
  };
}

const cast = (from: string, to: string, type: number) =>
  namelessNode('Cast', [from], [to], { to: BigInt(type) });
