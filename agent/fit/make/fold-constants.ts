import type { GraphProto, NodeProto, TensorProto } from '../../model/onnx/generated/messages.ts';
import { mapBodies, nodeLabel, opName, subgraphsOf } from '../../model/onnx/graph.ts';
import { withGraph, writeOnnx } from '../../model/onnx/open.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';
import { constantPart, splitPart, withConstants } from '../../quantize/onnx/prepare/constants.ts';
import type { ConstantPart } from '../../quantize/onnx/prepare/constants.ts';
import { AgentError, codeOf, messageOf } from '../../util/errors.ts';

/** Values by tensor name. */
type Values = ReadonlyMap<string, TensorProto>;

/** Runs a model without inputs and returns its outputs as tensors. */
export type EvaluateConstants = (model: readonly Uint8Array[]) => Promise<Values>;

export interface Folded {
  readonly model: OnnxModel;
  /** One line for each part that could not be computed ahead and stays as it is. */
  readonly warnings: readonly string[];
}

/**
 * Replaces what depends on constants alone by its value, bodies included. The runtime computes the
 * values, so that no op has to be written a second time. What it cannot compute alone (text, an op
 * that it lacks) stays.
 */
export async function foldConstants(
  model: OnnxModel,
  evaluate: EvaluateConstants,
): Promise<Folded> {
  const warnings: string[] = [];
  const folded = await foldGraph(model.graph, new Map(), { model, evaluate, warnings });
  return { model: folded === model.graph ? model : withGraph(model, folded), warnings };
}

interface Context {
  readonly model: OnnxModel;
  readonly evaluate: EvaluateConstants;
  readonly warnings: string[];
}

async function foldGraph(graph: GraphProto, outer: Values, context: Context): Promise<GraphProto> {
  const part = constantPart(context.model.proto, graph, outer);
  const found = part === undefined ? [] : await compute(part, context);
  const here = found.reduce((now, one) => withConstants(now, one.part, one.values), graph);
  const visible = new Map(outer);
  for (const tensor of here.initializer) visible.set(tensor.name ?? '', tensor);
  const node: NodeProto[] = [];
  // oxlint-disable-next-line no-await-in-loop -- one small session at a time bounds the memory
  for (const one of here.node) node.push(await foldBodies(one, visible, context));
  return node.every((one, index) => one === here.node[index]) ? here : { ...here, node };
}

async function foldBodies(node: NodeProto, outer: Values, context: Context): Promise<NodeProto> {
  const folded = new Map<GraphProto, GraphProto>();
  for (const body of subgraphsOf(node)) {
    // oxlint-disable-next-line no-await-in-loop -- as above
    folded.set(body, await foldGraph(body, outer, context));
  }
  return mapBodies(node, (body) => folded.get(body) ?? body);
}

interface Computed {
  readonly part: ConstantPart;
  readonly values: Values;
}

/** The values of a part; when it cannot be computed as a whole, those of its halves, and so on. */
async function compute(part: ConstantPart, context: Context): Promise<readonly Computed[]> {
  const { graph } = part.proto;
  if (graph === undefined) return [];
  try {
    const values = await context.evaluate(
      writeOnnx({ ...context.model, proto: part.proto, graph }),
    );
    return [{ part, values }];
  } catch (error) {
    if (!(error instanceof AgentError) || codeOf(error) === 'ABORTED') throw error;
    const parts = isGone(error) ? [part] : splitPart(part);
    if (parts.length === 1) {
      context.warnings.push(warning(part, error));
      return [];
    }
    const found: Computed[] = [];
    // oxlint-disable-next-line no-await-in-loop -- as above
    for (const one of parts) found.push(...(await compute(one, context)));
    return found;
  }
}

/** Whether the runtime itself is lost, so that no other part has a chance. */
function isGone(error: AgentError): boolean {
  return ['CRASHED', 'HUNG', 'START_FAILED'].includes(error.code);
}

function warning({ nodes }: ConstantPart, error: unknown): string {
  const last = [...nodes].at(-1);
  const where = last === undefined ? '' : `${opName(last)} '${nodeLabel(last)}'`;
  // The file was made for this and is gone: its path says nothing.
  const why = messageOf(error).replace(/^cannot \w+ \S+\.onnx: /, '');
  return `the constant of ${where} is computed anew in every run: ${why}`;
}
