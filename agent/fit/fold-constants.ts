import type { GraphProto, NodeProto, TensorProto } from '../model/onnx/generated/messages.ts';
import { mapBodies } from '../model/onnx/graph.ts';
import { withGraph, writeOnnx } from '../model/onnx/open.ts';
import type { OnnxModel } from '../model/onnx/open.ts';
import { constantPart, withConstants } from '../quantize/onnx/prepare/constants.ts';
import type { ConstantPart } from '../quantize/onnx/prepare/constants.ts';

/** Runs a model without inputs and returns its outputs as tensors. */
export type EvaluateConstants = (
  model: readonly Uint8Array[],
) => Promise<ReadonlyMap<string, TensorProto>>;

/**
 * Replaces everything that depends on constants alone by its value, bodies included. The runtime
 * computes the values, so that no op has to be written a second time.
 */
export async function foldConstants(
  model: OnnxModel,
  evaluate: EvaluateConstants,
): Promise<OnnxModel> {
  const folded = await foldGraph(model, model.graph, new Map(), evaluate);
  return folded === model.graph ? model : withGraph(model, folded);
}

async function foldGraph(
  model: OnnxModel,
  graph: GraphProto,
  outer: ReadonlyMap<string, TensorProto>,
  evaluate: EvaluateConstants,
): Promise<GraphProto> {
  const part = constantPart(model.proto, graph, outer);
  const here =
    part === undefined ? graph : withConstants(graph, part, await values(model, part, evaluate));
  const visible = new Map(outer);
  for (const tensor of here.initializer) visible.set(tensor.name ?? '', tensor);
  const node = await Promise.all(here.node.map((one) => foldBodies(model, one, visible, evaluate)));
  return node.every((one, index) => one === here.node[index]) ? here : { ...here, node };
}

async function foldBodies(
  model: OnnxModel,
  node: NodeProto,
  outer: ReadonlyMap<string, TensorProto>,
  evaluate: EvaluateConstants,
): Promise<NodeProto> {
  const bodies: GraphProto[] = [];
  mapBodies(node, (body) => {
    bodies.push(body);
    return body;
  });
  if (bodies.length === 0) return node;
  const folded = new Map<GraphProto, GraphProto>();
  // oxlint-disable-next-line no-await-in-loop -- one small session at a time
  for (const body of bodies) folded.set(body, await foldGraph(model, body, outer, evaluate));
  return mapBodies(node, (body) => folded.get(body) ?? body);
}

async function values(
  model: OnnxModel,
  part: ConstantPart,
  evaluate: EvaluateConstants,
): Promise<ReadonlyMap<string, TensorProto>> {
  const { graph } = part.proto;
  if (graph === undefined) return new Map();
  return evaluate(writeOnnx({ ...model, proto: part.proto, graph }));
}
