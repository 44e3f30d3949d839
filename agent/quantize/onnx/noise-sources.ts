import type { GraphProto, NodeProto } from '../../model/onnx/generated/messages.ts';
import { indexGraph, nodeLabel, opName } from '../../model/onnx/graph.ts';
import type { GraphIndex } from '../../model/onnx/graph.ts';
import type { Statistics } from '../../model/statistics.ts';
import { isWeighted } from './op-table.ts';
import type { IntegerUnit, StaticPlan } from './static-plan.ts';

/** One thing that static quantization rounds, and with it the output of the model. */
export interface NoiseSource {
  /** Constants of one node, or a tensor that is passed on in integers. */
  readonly kind: 'constants' | 'activation';
  /** The tensor; for constants, the label of the node. */
  readonly name: string;
  /** Labels of the integer nodes at it: it is gone when all of them are in float. */
  readonly units: readonly string[];
  /** Elements of an activation that are turned into integers, or back, for float nodes at it. */
  readonly elements: number;
  /** Whether a node that is in float anyway makes or reads it. */
  readonly meetsFloat: boolean;
}

/** A node in integers, as far as giving it back to float is concerned. */
export interface UnitWork {
  readonly label: string;
  readonly op: string;
  /** Estimate of its time in float, in multiply-accumulates. */
  readonly work: number;
}

/**
 * Everything that a plan rounds. Layout ops hand on the bytes they get, so a tensor and what they
 * make of it are one source, under the name of the first.
 */
export function noiseSources(
  graph: GraphProto,
  plan: StaticPlan,
  statistics: Statistics,
): readonly NoiseSource[] {
  const roots = rootsOf(plan);
  const index = indexGraph(graph);
  const floats = (node: NodeProto) => !plan.units.has(node) && !absorbed.has(node);
  const absorbed = new Set([...plan.units.values()].map((unit) => unit.absorbed));
  const found = new Map<string, { units: Set<string>; elements: number; meetsFloat: boolean }>();
  const constants: NoiseSource[] = [];
  for (const unit of plan.units.values()) {
    const label = nodeLabel(unit.node);
    if (hasConstants(unit)) {
      const nowhere = { elements: 0, meetsFloat: false };
      constants.push({ kind: 'constants', name: label, units: [label], ...nowhere });
    }
    const made = unit.quantizedOutput ? unit.outputs : [];
    for (const tensor of [...unit.inputs, ...made]) {
      const root = roots.get(tensor) ?? tensor;
      const source = found.get(root) ?? {
        units: new Set(),
        elements: elementsOf(root, statistics),
        meetsFloat: false,
      };
      found.set(root, source);
      source.units.add(label);
      source.meetsFloat ||= atFloat(tensor, index, floats);
    }
  }
  const activations = [...found].map(
    ([name, source]) =>
      ({ kind: 'activation', name, ...source, units: [...source.units] }) as const,
  );
  return [...activations, ...constants];
}

function atFloat(
  tensor: string,
  { producer, consumers, inputs, outputs }: GraphIndex,
  floats: (node: NodeProto) => boolean,
): boolean {
  const maker = producer.get(tensor);
  if (inputs.has(tensor) || outputs.has(tensor)) return true;
  return [...(maker === undefined ? [] : [maker]), ...(consumers.get(tensor) ?? [])].some(floats);
}

const elementsOf = (name: string, { tensors }: Statistics) =>
  (tensors.get(name)?.shape ?? []).reduce((product, size) => product * size, 1);

const hasConstants = ({ rule, constants }: IntegerUnit) => isWeighted(rule) || constants.length > 0;

/** Output of a layout op -> the tensor whose bytes it carries. */
function rootsOf({ units }: StaticPlan): ReadonlyMap<string, string> {
  const roots = new Map<string, string>();
  for (const { rule, inputs, outputs, quantizedOutput } of units.values()) {
    const [input = ''] = inputs;
    if (rule.role !== 'layout' || !quantizedOutput) continue;
    for (const name of outputs) roots.set(name, roots.get(input) ?? input);
  }
  return roots;
}

/** Passing over one element takes about as long as this many multiply-accumulates. */
const MACS_PER_ELEMENT = 16;

/** A weight in float is three bytes more to keep and to read: what a large last layer costs. */
const MACS_PER_WEIGHT = 32;

/** What every integer node of the plan would cost in float, by the shapes seen in calibration. */
export function unitWork(
  graph: GraphProto,
  plan: StaticPlan,
  statistics: Statistics,
): readonly UnitWork[] {
  const index = indexGraph(graph);
  const elements = (name: string) => elementsOf(name, statistics);
  return [...plan.units.values()].map(({ node, inputs, outputs }) => {
    const moved = [...inputs, ...outputs].reduce((sum, name) => sum + elements(name), 0);
    const made = elements(node.output[0] ?? '') || elements(outputs[0] ?? '');
    const weights = weightCount(node, index);
    const work =
      made * macsPerValue(node, index) + moved * MACS_PER_ELEMENT + weights * MACS_PER_WEIGHT;
    return { label: nodeLabel(node), op: opName(node), work };
  });
}

function weightCount(node: NodeProto, { initializers }: GraphIndex): number {
  const dims = initializers.get(node.input[1] ?? '')?.dims ?? [];
  return dims.length < 2 ? 0 : dims.reduce((product, length) => product * length, 1);
}

/** Multiply-accumulates behind one output value: the weights that one output channel has. */
function macsPerValue(node: NodeProto, { initializers }: GraphIndex): number {
  const dims = initializers.get(node.input[1] ?? '')?.dims ?? [];
  const size = dims.reduce((product, length) => product * length, 1);
  const op = opName(node);
  if (op === 'Conv') return size / (dims[0] ?? 1);
  if (op === 'ConvTranspose') return size / (dims[0] ?? 1);
  const matrix = dims.length >= 2 && (op === 'Gemm' || op === 'MatMul');
  // The larger of the two axes where Gemm may have transposed them: an estimate is enough.
  return matrix ? Math.max(...dims.slice(-2)) : 0;
}
