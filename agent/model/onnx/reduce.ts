import { dropUnused } from './edit.ts';
import type { NodeProto, TensorProto } from './generated/messages.ts';
import { exposeTensors } from './expose.ts';
import { indexGraph, makeNode, nameMaker } from './graph.ts';
import type { AttributeValue } from './graph.ts';
import { withGraph } from './open.ts';
import type { OnnxModel } from './open.ts';
import { DataType, int64Tensor } from './tensor.ts';

/** A tensor of the main graph with what is known of its shape. */
export interface KnownTensor {
  readonly name: string;
  /** Unknown sizes are no numbers; the number of axes is known. */
  readonly shape: readonly (number | string | null)[];
  /** Every so manieth of its values is wanted as well: 1 for all of them. */
  readonly every?: number | undefined;
}

/**
 * A stretch of the summary: [shape, where it is not known,] minimum, maximum and mean per channel [,
 * values].
 */
export interface Reduction {
  readonly tensor: string;
  readonly rank: number;
  /** Which values are there; null for none. */
  readonly every: number | null;
  /** Null where only a run shows it. */
  readonly shape: readonly number[] | null;
}

export interface Reduced {
  readonly model: OnnxModel;
  /** The output that holds the reductions, one behind the other; null without any. */
  readonly summary: string | null;
  readonly reductions: readonly Reduction[];
}

/** Axes became an input of ReduceMin, ReduceMax and ReduceMean with this operator set. */
const AXES_AS_INPUT = 18;
/** Slice got steps with this operator set. */
const SLICE_WITH_STEPS = 10;
/** The end of an axis, whatever its size. */
const END = 2n ** 63n - 1n;

/** Whether values of a tensor can be left out (`KnownTensor.every` above 1). */
export function canSkipValues({ opset }: OnnxModel): boolean {
  return opset >= SLICE_WITH_STEPS;
}

/** The axis of channels: 1 where the rank is above 2, else the last. */
export function channelAxis(rank: number): number {
  return rank > 2 ? 1 : rank - 1;
}

/**
 * A model whose first output is a summary of float tensors: their minimum, maximum and mean per
 * channel, and where it is asked for, values. `others` are outputs as they are.
 * The runtime reduces faster than a script could, on all cores. Tensors need one axis at least; those
 * that the main graph lacks are passed over.
 *
 * onnxruntime runs what a node without readers needs in one go, inputs of a higher node number first
 * (GraphViewer, ReverseDFSFrom). With a single such node at the end and the reductions numbered
 * backwards, each tensor is reduced as soon as it is there, and need not be kept.
 */
export function reduceTensors(
  model: OnnxModel,
  tensors: readonly KnownTensor[],
  others: readonly string[] = [],
): Reduced {
  const { graph } = model;
  const { producer, inputs } = indexGraph(graph);
  const there = tensors.filter(
    ({ name, shape }) => shape.length > 0 && (producer.has(name) || inputs.has(name)),
  );
  if (there.length === 0) {
    return { model: exposeTensors(model, others), summary: null, reductions: [] };
  }
  const order = new Map([...producer.keys()].map((name, index) => [name, index]));
  const sorted = there.toSorted((a, b) => (order.get(a.name) ?? -1) - (order.get(b.name) ?? -1));
  const fresh = nameMaker(graph);
  const constants = new Constants(fresh);
  const chains = sorted.map((tensor) => reduction(tensor, model.opset, constants, fresh));
  const summary = fresh('summary');
  const parts = chains.flatMap(({ parts: own }) => own);
  const join = makeNode('Concat', parts, [summary], { attributes: { axis: 0n } });
  const added = chains.toReversed().flatMap(({ nodes }) => nodes);
  const extended = dropUnused({
    ...graph,
    node: [...graph.node, ...added, join],
    initializer: [...graph.initializer, ...constants.tensors()],
    output: [summary, ...others.filter((name) => producer.has(name))].map((name) => ({ name })),
  });
  return {
    model: withGraph(model, extended),
    summary,
    reductions: sorted.map(({ name, shape, every = null }) => {
      return { tensor: name, rank: shape.length, shape: knownShape(shape), every };
    }),
  };
}

function knownShape(shape: KnownTensor['shape']): readonly number[] | null {
  const sizes = shape.filter((size) => typeof size === 'number' && size >= 0).map(Number);
  return sizes.length === shape.length ? sizes : null;
}

/** Constants that the added nodes share. */
class Constants {
  readonly #fresh: (wish: string) => string;
  readonly #tensors = new Map<string, TensorProto>();

  constructor(fresh: (wish: string) => string) {
    this.#fresh = fresh;
  }

  /** The name of a list of integers. */
  list(values: readonly bigint[]): string {
    const key = values.join();
    const tensor = this.#tensors.get(key) ?? int64Tensor(this.#fresh('numbers'), values);
    this.#tensors.set(key, tensor);
    return tensor.name ?? '';
  }

  tensors(): Iterable<TensorProto> {
    return this.#tensors.values();
  }
}

/** The nodes that reduce one tensor, and what they hand to the summary. */
function reduction(
  { name, shape, every }: KnownTensor,
  opset: number,
  constants: Constants,
  fresh: (wish: string) => string,
): { readonly nodes: readonly NodeProto[]; readonly parts: readonly string[] } {
  const nodes: NodeProto[] = [];
  const add = (op: string, inputs: readonly string[], attributes = {}) => {
    const output = fresh(`${name}:${op}`);
    nodes.push(makeNode(op, inputs, [output], { attributes }));
    return output;
  };
  const channel = channelAxis(shape.length);
  const axes = shape.flatMap((_, axis) => (axis === channel ? [] : [BigInt(axis)]));
  const reduce = (op: string): string => {
    // Without axes all of them would be reduced.
    if (axes.length === 0) return name;
    const attributes: Record<string, AttributeValue> = { keepdims: 0n };
    if (opset < AXES_AS_INPUT) return add(op, [name], { ...attributes, axes });
    return add(op, [name, constants.list(axes)], attributes);
  };
  const values = (step: number): string => {
    const flat = add('Reshape', [name, constants.list([-1n])]);
    if (step === 1) return flat;
    const range = [[0n], [END], [0n], [BigInt(step)]].map((one) => constants.list(one));
    return add('Slice', [flat, ...range]);
  };
  const float = { to: BigInt(DataType.FLOAT) };
  const sizes = knownShape(shape) === null ? [add('Cast', [add('Shape', [name])], float)] : [];
  const extremes = ['ReduceMin', 'ReduceMax', 'ReduceMean'].map(reduce);
  return { nodes, parts: [...sizes, ...extremes, ...(every === undefined ? [] : [values(every)])] };
}

/** One tensor's part of a summary. */
export interface ChannelValues {
  readonly shape: readonly number[];
  readonly min: Float32Array;
  readonly max: Float32Array;
  readonly mean: Float32Array;
  /** Null where none were asked for. */
  readonly values: Float32Array | null;
}

/** Takes a summary apart, in the order of the reductions. */
export function readSummary(
  values: Float32Array,
  reductions: readonly Reduction[],
): readonly ChannelValues[] {
  let at = 0;
  const take = (count: number) => values.subarray(at, (at += count));
  return reductions.map(({ rank, shape: known, every }) => {
    const shape = known ?? Array.from(take(rank));
    const channels = shape[channelAxis(rank)] ?? 0;
    const [min, max, mean] = [take(channels), take(channels), take(channels)];
    const count = shape.reduce((product, size) => product * size, 1);
    return {
      shape,
      min,
      max,
      mean,
      values: every === null ? null : take(Math.ceil(count / every)),
    };
  });
}
