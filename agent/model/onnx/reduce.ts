import type { GraphProto, NodeProto, TensorProto } from './generated/messages.ts';
import { indexGraph, makeNode, nameMaker } from './graph.ts';
import type { AttributeValue } from './graph.ts';
import { withGraph } from './open.ts';
import type { OnnxModel } from './open.ts';
import { int64Tensor } from './tensor.ts';

/** A tensor of the main graph with what is known of its shape. */
export interface KnownTensor {
  readonly name: string;
  /** Unknown sizes are no numbers; the number of axes is known. */
  readonly shape: readonly (number | string | null)[];
}

/** Outputs that hold, per channel, what one tensor's values came to in a run. */
export interface Reduction {
  readonly tensor: string;
  readonly min: string;
  readonly max: string;
  readonly mean: string;
  /** The shape, or the output that holds it where it is not known beforehand. */
  readonly shape: readonly number[] | string;
}

export interface Reduced {
  readonly model: OnnxModel;
  readonly reductions: readonly Reduction[];
}

/** Axes became an input of ReduceMin, ReduceMax and ReduceMean with this operator set. */
const AXES_AS_INPUT = 18;

/** The axis of channels: 1 where the rank is above 2, else the last. */
export function channelAxis(rank: number): number {
  return rank > 2 ? 1 : rank - 1;
}

/**
 * The model with the minimum, maximum and mean per channel of float tensors as additional outputs.
 * The runtime reduces faster than a script could, on all cores, and keeps no tensor longer than its
 * readers need it. Tensors need one axis at least; those that the main graph lacks are passed over.
 */
export function reduceTensors(model: OnnxModel, tensors: readonly KnownTensor[]): Reduced {
  const { graph } = model;
  const { producer, inputs } = indexGraph(graph);
  const there = tensors.filter(
    ({ name, shape }) => shape.length > 0 && (producer.has(name) || inputs.has(name)),
  );
  const added: Added = { node: [], initializer: new Map(), output: [] };
  const fresh = nameMaker(graph);
  const reductions = there.map((tensor) => addReduction(added, tensor, model.opset, fresh));
  const extended = {
    ...graph,
    node: [...graph.node, ...added.node],
    initializer: [...graph.initializer, ...added.initializer.values()],
    output: [...graph.output, ...added.output.map((name) => ({ name }))],
  };
  return { model: withGraph(model, extended), reductions };
}

interface Added {
  readonly node: NodeProto[];
  /** By their axes, as text. */
  readonly initializer: Map<string, TensorProto>;
  readonly output: GraphProto['output'][number]['name'][];
}

function addReduction(
  added: Added,
  { name, shape }: KnownTensor,
  opset: number,
  fresh: (wish: string) => string,
): Reduction {
  const channel = channelAxis(shape.length);
  const axes = shape.flatMap((_, axis) => (axis === channel ? [] : [BigInt(axis)]));
  const add = (op: string, inputs: readonly string[], attributes = {}) => {
    const output = fresh(`${name}:${op}`);
    added.node.push(makeNode(op, inputs, [output], { attributes }));
    added.output.push(output);
    return output;
  };
  const reduce = (op: string): string => {
    // Without axes all of them would be reduced.
    if (axes.length === 0) return add('Identity', [name]);
    const attributes: Record<string, AttributeValue> = { keepdims: 0n };
    if (opset < AXES_AS_INPUT) return add(op, [name], { ...attributes, axes });
    const key = axes.join();
    const tensor = added.initializer.get(key) ?? int64Tensor(fresh('axes'), axes);
    added.initializer.set(key, tensor);
    return add(op, [name, tensor.name ?? ''], attributes);
  };
  const known = shape.filter((size) => typeof size === 'number' && size >= 0).map(Number);
  return {
    tensor: name,
    min: reduce('ReduceMin'),
    max: reduce('ReduceMax'),
    mean: reduce('ReduceMean'),
    shape: known.length === shape.length ? known : add('Shape', [name]),
  };
}
