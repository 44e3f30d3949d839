import type { KernelTime } from '../../bench/profile.ts';
import type { GraphProto, NodeProto } from '../../model/onnx/generated/messages.ts';
import { indexGraph, nodeLabel } from '../../model/onnx/graph.ts';
import type { UnitWork } from '../../quantize/onnx/noise-sources.ts';

/** What one node takes in float and in integers on this machine. */
export interface UnitTimes {
  readonly label: string;
  readonly floatMs: number;
  readonly integerMs: number;
}

export interface LayerTimes {
  readonly units: readonly UnitTimes[];
  /** All kernels that only turn floats into integers and back. */
  readonly convertingMs: number;
}

type KernelTimes = ReadonlyMap<string, KernelTime>;

/**
 * Times of integer units in both worlds, from one profile of each. Kernels are named after one of the
 * nodes they were fused from: after the product, or after the activation behind it. Units that do not
 * show up in both profiles are left out.
 */
export function layerTimes(
  graph: GraphProto,
  units: readonly UnitWork[],
  { float, integer }: { readonly float: KernelTimes; readonly integer: KernelTimes },
): LayerTimes {
  const labels = new Set(units.map(({ label }) => label));
  const [inFloat, inInteger] = [float, integer].map((times) => byUnit(graph, labels, times));
  const timed = [...labels].flatMap((label) => {
    const floatMs = inFloat?.get(label);
    const integerMs = inInteger?.get(label);
    return floatMs === undefined || integerMs === undefined ? [] : [{ label, floatMs, integerMs }];
  });
  const converting = [...integer.values()].filter(({ op }) => CONVERTING.has(op));
  return { units: timed, convertingMs: converting.reduce((sum, { ms }) => sum + ms, 0) };
}

const CONVERTING: ReadonlySet<string> = new Set(['QuantizeLinear', 'DequantizeLinear']);

function byUnit(
  graph: GraphProto,
  units: ReadonlySet<string>,
  times: KernelTimes,
): ReadonlyMap<string, number> {
  const nodes = new Map(graph.node.flatMap((node) => namesOf(node).map((name) => [name, node])));
  const own = new Map<NodeProto, number>();
  for (const [kernel, { op, ms }] of times) {
    if (CONVERTING.has(op)) continue;
    const node = nodes.get(nodeOf(kernel, nodes));
    if (node !== undefined) own.set(node, (own.get(node) ?? 0) + ms);
  }
  const { producer } = indexGraph(graph);
  const found = new Map<string, number>();
  for (const [node, ms] of own) {
    const label = nodeLabel(node);
    const unit = units.has(label) ? label : fusedUnit(node);
    if (unit !== undefined) found.set(unit, (found.get(unit) ?? 0) + ms);
  }
  return found;

  /** The unit in front of a node that has no kernel of its own: it is in this node's kernel. */
  function fusedUnit(node: NodeProto): string | undefined {
    const maker = producer.get(node.input[0] ?? '');
    if (maker === undefined || own.has(maker)) return undefined;
    return units.has(nodeLabel(maker)) ? nodeLabel(maker) : undefined;
  }
}

/** Kernels are named after nodes, and convolutions in blocked layout after what they make. */
const namesOf = (node: NodeProto) => [...node.output, nodeLabel(node)];

/** What onnxruntime attaches to names of nodes that it made from others. */
const ATTACHED = /^fused |(?:_token_\d+|_nchwc|_nhwc|_quant|\/MatMulAddFusion|_\d+)$/;

/** The node that a kernel is named after, or what is left of its name. */
function nodeOf(kernel: string, nodes: ReadonlyMap<string, NodeProto>): string {
  let name = kernel;
  for (let steps = 0; steps < 4 && !nodes.has(name); steps++) name = name.replace(ATTACHED, '');
  return name;
}
