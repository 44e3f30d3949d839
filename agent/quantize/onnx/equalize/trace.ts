import type { GraphProto, NodeProto, TensorProto } from '../../../model/onnx/generated/messages.ts';
import { indexGraph, opName, subgraphsOf, usedNames } from '../../../model/onnx/graph.ts';
import { DataType } from '../../../model/onnx/tensor.ts';
import { Tracer } from '../../equalize/trace.ts';
import type { Shapes } from '../../equalize/trace.ts';
import { RULES } from './rules.ts';

export type OnnxTracer = Tracer<NodeProto, TensorProto>;

/**
 * Follows the channels that convolutions and matrix products with constant weights make through the
 * ops that let a factor per channel pass (ReLU, pooling, sums, ...) to the products that read them.
 * What anything else reads, or leaves the graph, keeps the factor 1.
 */
export function trace(graph: GraphProto, shapes: Shapes): OnnxTracer {
  const { initializers } = indexGraph(graph);
  const tracer: OnnxTracer = new Tracer({
    constant: (name: string) => initializers.get(name),
    isFloat: ({ dataType }: TensorProto) => dataType === DataType.FLOAT,
    shapes,
    fixedShapes: graph.input.every(({ type }) =>
      (type?.tensorType?.shape?.dim ?? []).every((dim, axis) => axis === 0 || isFixed(dim)),
    ),
  });
  for (const node of graph.node) {
    const inner = subgraphsOf(node).length > 0;
    const found = inner ? undefined : RULES.get(opName(node))?.(node, tracer);
    tracer.note(node, found, usedNames(node));
  }
  for (const { name } of graph.output) tracer.block(tracer.layout(name));
  return tracer;
}

function isFixed({ dimValue }: { readonly dimValue?: unknown }): boolean {
  return dimValue !== undefined && Number(dimValue) > 0;
}
