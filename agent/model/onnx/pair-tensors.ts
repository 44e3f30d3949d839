import type { GraphProto, NodeProto } from './generated/messages.ts';
import { indexGraph, usedNames } from './graph.ts';
import type { GraphIndex } from './graph.ts';
import {
  CLAMPS,
  isDequantizeLinear,
  isIntegerNode,
  isMover,
  isQuantizeLinear,
} from './integer-ops.ts';
import type { OnnxModel } from './open.ts';
import { DataType } from './tensor.ts';
import { inferTypes } from './types.ts';

/** Integers that stand for a tensor, and the names of what turns them back. */
export interface Integers {
  readonly name: string;
  readonly scale: string;
  readonly zeroPoint: string;
}

/** A tensor of the float model and where its value is in the quantized one. */
export interface TensorPair {
  /** Its name in the float model. */
  readonly tensor: string;
  /** What makes it there. */
  readonly node: NodeProto;
  readonly output: boolean;
  /** The compared tensors it is made from in the float model. */
  readonly madeFrom: readonly string[];
  readonly dataType: number;
  /** The float tensor of the quantized model that holds it; null where only integers do. */
  readonly read: string | null;
  readonly integers: Integers | null;
  /** Every float name under which later layers read it. */
  readonly names: readonly string[];
  /** The QuantizeLinear behind `names[0]` that belongs to this tensor rather than to its readers. */
  readonly rounding: NodeProto | null;
  /** Whether what makes it in the quantized model computes with integers. */
  readonly integer: boolean;
}

export interface Pairing {
  /** In the order of the float graph. */
  readonly pairs: readonly TensorPair[];
  /** Float tensors that the quantized model no longer has: folded, fused or renamed. */
  readonly unmatched: readonly { readonly tensor: string; readonly node: NodeProto }[];
}

type Found = Pick<TensorPair, 'read' | 'integers' | 'names' | 'rounding'>;

const FLOATS: readonly number[] = [DataType.FLOAT, DataType.FLOAT16, DataType.DOUBLE];
/** What tools that write QOperator models append to the name of a tensor they keep as integers. */
const INTEGER_SUFFIX = '_quantized';

/**
 * Finds every float tensor that depends on the input of `float` in `quantized`, by its name:
 *
 * 1. a tensor of that name, as its readers see it: behind QuantizeLinear -> DequantizeLinear where
 *    there is such a pair (so it holds the rounding, whatever the tool called its result);
 * 2. else integers of that name plus `_quantized`, with the scale and zero point of whoever reads them.
 *
 * Outputs that have other names are paired by position. Where a Relu or Clip is gone and its input is
 * not, that input stands for its result: the integer range clamps it.
 */
export function pairTensors(float: OnnxModel, quantized: OnnxModel): Pairing {
  const index = indexGraph(quantized.graph);
  const [types, otherTypes] = [inferTypes(float), inferTypes(quantized)];
  const floatIndex = indexGraph(float.graph);
  const { outputs } = floatIndex;
  const renamed = new Map([
    ...outputNames(float.graph, quantized.graph),
    ...clampedNames(floatIndex, index),
  ]);
  const standIns = new Set(renamed.values());
  const pairs: Omit<TensorPair, 'integer' | 'madeFrom'>[] = [];
  const unmatched: { tensor: string; node: NodeProto }[] = [];
  for (const { tensor, node } of computedTensors(float.graph)) {
    const dataType = types.get(tensor);
    if (dataType === undefined || !FLOATS.includes(dataType)) continue;
    const name = renamed.get(tensor) ?? tensor;
    const found = name === tensor && standIns.has(name) ? undefined : find(name, index);
    const type = found?.read === null ? undefined : otherTypes.get(found?.read ?? '');
    if (found === undefined || (type !== undefined && !FLOATS.includes(type)))
      unmatched.push({ tensor, node });
    else pairs.push({ tensor, node, output: outputs.has(tensor), dataType, ...found });
  }
  const ends = new Set(pairs.flatMap(({ names, integers }) => [...names, integers?.name ?? '']));
  const compared = new Set(pairs.map(({ tensor }) => tensor));
  return {
    pairs: pairs.map((pair) => ({
      ...pair,
      madeFrom: sourcesOf(pair.node, floatIndex, compared),
      integer: isMadeOfIntegers(pair, index, ends),
    })),
    unmatched,
  };
}

/** What nodes make of the inputs; what they make of constants alone is no layer. */
function* computedTensors(graph: GraphProto): Generator<{ tensor: string; node: NodeProto }> {
  const constants = new Set(graph.initializer.map(({ name }) => name));
  const names = graph.input.map(({ name }) => name ?? '');
  const computed = new Set(names.filter((name) => !constants.has(name)));
  for (const node of graph.node) {
    if (!usedNames(node).some((name) => computed.has(name))) continue;
    for (const tensor of node.output) {
      if (tensor === '') continue;
      computed.add(tensor);
      yield { tensor, node };
    }
  }
}

/** Outputs of the float model that are called otherwise in the quantized one. */
function outputNames(float: GraphProto, quantized: GraphProto): ReadonlyMap<string, string> {
  const names = quantized.output.map(({ name }) => name ?? '');
  if (names.length !== float.output.length) return new Map();
  const pairs = float.output.map(({ name = '' }, at) => [name, names[at] ?? name] as const);
  return new Map(pairs.filter(([name]) => !names.includes(name)));
}

/** Results of clamps that the quantized model leaves to the range of integers, by their inputs. */
function clampedNames(float: GraphIndex, quantized: GraphIndex): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const [result, node] of float.producer) {
    const [input = ''] = node.input;
    if (!CLAMPS.includes(node.opType ?? '') || float.consumers.get(input)?.length !== 1) continue;
    const isGone = find(result, quantized) === undefined && !float.outputs.has(input);
    if (isGone && find(input, quantized) !== undefined) names.set(result, input);
  }
  return names;
}

function find(name: string, index: GraphIndex): Found | undefined {
  const maker = index.producer.get(name);
  if (maker === undefined) {
    const integers = integersOf(`${name}${INTEGER_SUFFIX}`, index);
    return integers && { read: null, integers, names: [], rounding: null };
  }
  if (isDequantizeLinear(maker)) {
    const [stored = ''] = maker.input;
    const names = [name, ...dequantizedOf(stored, index).filter((one) => one !== name)];
    return { read: name, integers: integersOf(stored, index) ?? null, names, rounding: null };
  }
  const rounding = index.outputs.has(name) ? undefined : roundingOf(name, index);
  if (rounding === undefined) return { read: name, integers: null, names: [name], rounding: null };
  const copies = dequantizedOf(rounding.output[0] ?? '', index);
  return { read: copies[0] ?? name, integers: null, names: [name, ...copies], rounding };
}

/** The first QuantizeLinear that reads a tensor and is read by a DequantizeLinear. */
function roundingOf(name: string, index: GraphIndex): NodeProto | undefined {
  return index.consumers
    .get(name)
    ?.find(
      (node) => isQuantizeLinear(node) && dequantizedOf(node.output[0] ?? '', index).length > 0,
    );
}

function dequantizedOf(stored: string, { consumers }: GraphIndex): string[] {
  const readers = consumers.get(stored) ?? [];
  return readers.filter(isDequantizeLinear).map(({ output }) => output[0] ?? '');
}

/**
 * The scale and zero point of integers that a node makes. In every op that takes quantized tensors
 * (DequantizeLinear, QLinearConv, QLinearAdd ...) they are the two inputs behind the tensor; ops that
 * move integers hand them on.
 */
function integersOf(name: string, index: GraphIndex): Integers | undefined {
  if (!index.producer.has(name)) return undefined;
  const seen = new Set<string>();
  for (const names = [name]; names.length > 0;) {
    const current = names.pop() ?? '';
    if (seen.has(current)) continue;
    seen.add(current);
    for (const reader of index.consumers.get(current) ?? []) {
      const at = reader.input.indexOf(current);
      const [scale = '', zeroPoint = ''] = reader.input.slice(at + 1);
      if (index.initializers.has(scale) && index.initializers.has(zeroPoint)) {
        return { name, scale, zeroPoint };
      }
      if (isMover(reader)) names.push(...reader.output);
    }
  }
  return undefined;
}

/** The nearest compared tensors before a node. */
function sourcesOf(
  node: NodeProto,
  { producer }: GraphIndex,
  compared: ReadonlySet<string>,
): readonly string[] {
  const found = new Set<string>();
  const seen = new Set<string>();
  const names = [...usedNames(node)];
  for (let name = names.pop(); name !== undefined; name = names.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    if (compared.has(name)) found.add(name);
    else {
      const maker = producer.get(name);
      if (maker !== undefined) names.push(...usedNames(maker));
    }
  }
  return [...found];
}

/** Looks at what lies between a tensor and the compared tensors before it. */
function isMadeOfIntegers(
  pair: Pick<TensorPair, 'read' | 'names' | 'integers'>,
  index: GraphIndex,
  ends: ReadonlySet<string>,
): boolean {
  if (pair.read === null) return true;
  const own = new Set([...pair.names, pair.integers?.name ?? '']);
  const names = [pair.read];
  const seen = new Set<NodeProto>();
  for (let name = names.pop(); name !== undefined; name = names.pop()) {
    const node = ends.has(name) && !own.has(name) ? undefined : index.producer.get(name);
    if (node === undefined || seen.has(node)) continue;
    if (isIntegerNode(node, index)) return true;
    seen.add(node);
    names.push(...node.input);
  }
  return false;
}
