import { allNodes, opName } from '../../../model/onnx/graph.ts';
import type { OnnxModel } from '../../../model/onnx/open.ts';
import { isQuantized } from '../recognize.ts';

/** How somebody has quantized a model before us. */
export type QuantizedKind =
  /** Quantize nodes of research tools, which no runtime knows (QONNX, Brevitas, FINN). */
  | 'qonnx'
  /** Integer operators: QLinearConv, QLinearMatMul, QGemm. */
  | 'qoperator'
  /** Activations are quantized as they arrive: DynamicQuantizeLinear, MatMulInteger. */
  | 'dynamic'
  /** Only weights are integers, of 8 or 4 bits: MatMulNBits. */
  | 'weight-only'
  /** QuantizeLinear and DequantizeLinear around float operators. */
  | 'qdq';

/** What marks each kind; the first that is there names the model. */
const MARKS: readonly (readonly [kind: QuantizedKind, mark: RegExp])[] = [
  ['qonnx', /\.(Quant|FakeQuantize|BipolarQuant|Trunc|MultiThreshold)$/],
  ['qoperator', /^(com\.microsoft\.)?(QLinear\w+|QGemm|QAttention)$/],
  ['dynamic', /^(com\.microsoft\.)?(DynamicQuantize\w+|(MatMul|Conv)Integer\w*)$/],
  ['weight-only', /^com\.microsoft\.(MatMulNBits|MatMulBnb4|MatMulFpQ4|GatherBlockQuantized)$/],
];

/** Undefined for a model that is not quantized. */
export function quantizedKind(model: OnnxModel): QuantizedKind | undefined {
  if (!isQuantized(model)) return undefined;
  const ops = new Set([...allNodes(model.graph)].map(opName));
  return MARKS.find(([, mark]) => [...ops].some((op) => mark.test(op)))?.[0] ?? 'qdq';
}
