import type { NodeProto } from '../../model/onnx/generated/messages.ts';
import { intAttribute, opName } from '../../model/onnx/graph.ts';
import type { WeightLayout } from '../weights.ts';

/** How the weights of a Conv, Gemm or MatMul lie. */
export function weightLayout(node: NodeProto, dims: readonly number[]): WeightLayout {
  if (opName(node) === 'Conv') {
    return { dims, axis: 0, inputAxis: 1, groups: intAttribute(node, 'group') ?? 1 };
  }
  const transposed = opName(node) === 'Gemm' && (intAttribute(node, 'transB') ?? 0) !== 0;
  return { dims, axis: transposed ? 0 : 1, inputAxis: transposed ? 1 : 0, groups: 1 };
}
