import type { NodeProto } from '../../model/onnx/generated/messages.ts';
import { allNodes, opName } from '../../model/onnx/graph.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';

/** Ops that only a quantized model has: QDQ, QOperator, dynamic and 4-bit forms. */
const STANDARD =
  'QuantizeLinear DequantizeLinear DynamicQuantizeLinear QLinearConv QLinearMatMul ConvInteger MatMulInteger';

/** onnxruntime, docs/ContribOperators.md. */
const MICROSOFT =
  'QuantizeLinear DequantizeLinear QLinearAdd QLinearAveragePool QLinearConcat QLinearConv QLinearGlobalAveragePool ' +
  'QLinearLeakyRelu QLinearMul QLinearReduceMean QLinearSigmoid QLinearSoftmax QLinearWhere QLinearConvTranspose ' +
  'QAttention QEmbedLayerNormalization QGemm QMoE QOrderedAttention QOrderedGelu QOrderedLayerNormalization ' +
  'QOrderedLongformerAttention QOrderedMatMul QuantizeWithOrder DequantizeWithOrder DynamicQuantizeLSTM ' +
  'DynamicQuantizeMatMul MatMulInteger16 MatMulIntegerToFloat MatMulNBits MatMulBnb4 ' +
  'MatMulFpQ4 GatherBlockQuantized MulInteger ReduceSumInteger';

const QUANTIZED_OPS: ReadonlySet<string> = new Set([
  ...STANDARD.split(' '),
  ...MICROSOFT.split(' ').map((op) => `com.microsoft.${op}`),
]);

/** QONNX, Brevitas, FINN and OpenVINO put these into domains of their own, which have changed. */
const SIMULATED = /\.(Quant|FakeQuantize|BipolarQuant|Trunc|MultiThreshold)$/;

/** The first node that says that somebody has quantized this model before us; bodies count. */
export function quantizedNode(model: OnnxModel): NodeProto | undefined {
  for (const node of allNodes(model.graph)) {
    const op = opName(node);
    if (QUANTIZED_OPS.has(op) || SIMULATED.test(op)) return node;
  }
  return undefined;
}

/** Whether somebody has quantized this model before us. */
export function isQuantized(model: OnnxModel): boolean {
  return quantizedNode(model) !== undefined;
}
