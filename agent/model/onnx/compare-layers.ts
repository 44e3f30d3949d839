import { dropUnused } from './edit.ts';
import { exposeTensors } from './expose.ts';
import type { GraphProto, NodeProto, ValueInfoProto } from './generated/messages.ts';
import { makeAttribute, nameMaker, namelessNode, renameInputs, usedNames } from './graph.ts';
import { withGraph } from './open.ts';
import type { OnnxModel } from './open.ts';
import type { TensorPair } from './pair-tensors.ts';
import { inferTypes } from './types.ts';

/** A pair, and how its tensor is read and replaced in the models made for a comparison. */
export interface Probe extends TensorPair {
  /** Float tensor of the quantized model that holds its value. */
  readonly read: string;
  /** Input of the layer-by-layer model that takes the float model's value. */
  readonly fed: string;
}

/** The quantized model with every pair as a float tensor: integers get a DequantizeLinear. */
export interface Probed {
  readonly model: OnnxModel;
  readonly probes: readonly Probe[];
}

/** What the layer-by-layer model needs from the float model besides the samples. */
export interface LayerModel {
  readonly model: OnnxModel;
  /** Tensors of the float model and the inputs that take them. */
  readonly feeds: readonly { readonly tensor: string; readonly input: string }[];
}

export function probeModel(model: OnnxModel, pairs: readonly TensorPair[]): Probed {
  const unique = nameMaker(model.graph);
  const added: NodeProto[] = [];
  const probes = pairs.map((pair): Probe => {
    const fed = unique(`${pair.tensor}_given`);
    if (pair.read !== null) return { ...pair, read: pair.read, fed };
    const read = unique(`${pair.tensor}_read`);
    const { name = '', scale = '', zeroPoint = '' } = pair.integers ?? {};
    added.push(namelessNode('DequantizeLinear', [name, scale, zeroPoint], [read]));
    return { ...pair, read, fed, names: [read] };
  });
  const { graph } = model;
  return { model: withGraph(model, { ...graph, node: [...graph.node, ...added] }), probes };
}

/** The quantized model as it is, with the tensors of these probes as outputs. */
export function exposeProbes(model: OnnxModel, probes: readonly Probe[]): OnnxModel {
  return exposeTensors(
    model,
    probes.map(({ read }) => read),
  );
}

/**
 * The layers that make `wanted`, each on its own: wherever the quantized model reads a compared
 * tensor, this one takes the float model's value as an input. What it then gives differs from the
 * float model by the error that each layer adds, without what came from the layers before it.
 */
export function layerModel({ model, probes }: Probed, wanted: readonly Probe[]): LayerModel {
  const { graph } = model;
  const types = inferTypes(model);
  const unique = nameMaker(graph);
  const renames = new Map<string, string>();
  const glue: NodeProto[] = [];
  for (const probe of probes) {
    const given = castTo(types.get(probe.read), probe, glue, unique);
    for (const name of probe.names) renames.set(name, given);
    if (probe.integers !== null) {
      const { name, scale, zeroPoint } = probe.integers;
      const rounded = unique(`${name}_given`);
      glue.push(namelessNode('QuantizeLinear', [given, scale, zeroPoint], [rounded]));
      renames.set(name, rounded);
    }
  }
  const kept = keptReaders(graph, probes);
  const node = graph.node.map((one) => (kept.has(one) ? one : renameInputs(one, renames)));
  const declared = new Map(graph.output.map((value) => [value.name, value]));
  const output = wanted.map(({ read }) => declared.get(read) ?? { name: read });
  const cut = dropUnused({ ...graph, node: [...glue, ...node], output, valueInfo: [] });
  return withFeeds(model, cut, probes);
}

/** The rounding of a tensor is part of the layer that makes it: it goes on reading what it reads. */
function keptReaders(graph: GraphProto, probes: readonly Probe[]): ReadonlySet<NodeProto> {
  const kept = new Set(probes.flatMap(({ rounding }) => rounding ?? []));
  const reads = new Set(probes.map(({ read }) => read));
  for (const node of graph.node) {
    const own = node.opType === 'DequantizeLinear' && reads.has(node.output[0] ?? '');
    if (own) kept.add(node);
  }
  return kept;
}

const FLOAT_TYPES = new Set([1, 10, 11]);

/** The fed value in the type that the quantized model has there (it may be fp16). */
function castTo(
  type: number | undefined,
  { fed, dataType }: Probe,
  glue: NodeProto[],
  unique: (wish: string) => string,
): string {
  if (type === undefined || type === dataType || !FLOAT_TYPES.has(type)) return fed;
  const cast = unique(`${fed}_cast`);
  const node = namelessNode('Cast', [fed], [cast]);
  glue.push({ ...node, attribute: [makeAttribute('to', BigInt(type))] });
  return cast;
}

function withFeeds(model: OnnxModel, graph: GraphProto, probes: readonly Probe[]): LayerModel {
  const used = new Set(graph.node.flatMap(usedNames));
  const taken = probes.filter(({ fed }) => used.has(fed));
  const stored = new Set(model.graph.initializer.map(({ name }) => name));
  const left = new Set(graph.initializer.map(({ name }) => name));
  // Old files list weights among the inputs; one that has gone would have to be fed.
  const own = graph.input.filter(({ name }) => !stored.has(name) || left.has(name));
  const given = taken.map(({ fed, dataType }): ValueInfoProto => ({
    name: fed,
    type: { tensorType: { elemType: dataType } },
  }));
  return {
    model: withGraph(model, { ...graph, input: [...own, ...given] }),
    feeds: taken.map(({ tensor, fed }) => ({ tensor, input: fed })),
  };
}
