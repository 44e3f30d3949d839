import type { Scheme } from '../../contracts/scheme.ts';
import type { NodeProto } from '../../model/onnx/generated/messages.ts';
import { indexGraph, opName } from '../../model/onnx/graph.ts';
import type { GraphIndex } from '../../model/onnx/graph.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';
import type { Model } from '../../model/open.ts';
import { elementCount } from '../../model/onnx/tensor.ts';
import type { Statistics } from '../../model/statistics.ts';
import type { VersionMaker } from '../search/version-maker.ts';

/**
 * Share of the multiply-accumulates of a model whose weights pass through QuantizeLinear: what the
 * engine is told, where it does not tell itself what it did. Null where no layer has weights, or the
 * shape of one was not seen in calibration.
 */
export function quantizedShare(
  { graph }: Pick<OnnxModel, 'graph'>,
  { tensors }: Pick<Statistics, 'tensors'>,
): number | null {
  const index = indexGraph(graph);
  let [integer, all] = [0, 0];
  for (const node of graph.node) {
    const weight = weightOf(node, index);
    if (weight === undefined) continue;
    const shape = tensors.get(node.output[0] ?? '')?.shape;
    if (shape === undefined) return null;
    const work = weight.elements * applied(node, shape);
    all += work;
    if (weight.isInteger) integer += work;
  }
  return all === 0 ? null : integer / all;
}

/** The same for a version that `maker` has made, with the shapes it saw in calibration. */
export async function shareOfVersion(
  model: Model,
  scheme: Scheme,
  maker: VersionMaker,
): Promise<number | null> {
  const parts = await maker.parts?.(scheme);
  return parts === undefined || model.format !== 'onnx'
    ? null
    : quantizedShare(model, parts.statistics);
}

function weightOf(
  node: NodeProto,
  { initializers, producer }: GraphIndex,
): { readonly elements: number; readonly isInteger: boolean } | undefined {
  if (!['Conv', 'ConvTranspose', 'Gemm', 'MatMul'].includes(opName(node))) return undefined;
  let name = node.input[1] ?? '';
  let isInteger = false;
  for (let maker = producer.get(name); maker !== undefined; maker = producer.get(name)) {
    if (!['QuantizeLinear', 'DequantizeLinear'].includes(opName(maker))) return undefined;
    isInteger = true;
    name = maker.input[0] ?? '';
  }
  const tensor = initializers.get(name);
  return tensor === undefined ? undefined : { elements: elementCount(tensor.dims), isInteger };
}

/** How often the weights are applied: once per pixel of the output, or per row. */
function applied(node: NodeProto, shape: readonly number[]): number {
  const isConv = opName(node).startsWith('Conv');
  return (isConv ? shape.slice(2) : shape.slice(0, -1)).reduce((a, b) => a * b, 1);
}
