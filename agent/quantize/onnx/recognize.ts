import { allNodes, opName } from '../../model/onnx/graph.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';

/** Ops that only a quantized model has: QDQ, QOperator, dynamic, 4-bit and QONNX forms. */
const QUANTIZED_OPS =
  /^(QuantizeLinear|DequantizeLinear|DynamicQuantizeLinear|QLinear\w+|ConvInteger|MatMulInteger|com\.microsoft\.(Q\w+|DynamicQuantize\w+|MatMulInteger\w*|MatMulNBits|MatMulBnb4|MatMulFpQ4|GatherBlockQuantized|QuantizeLinear|DequantizeLinear)|\S+\.(Quant|FakeQuantize|BipolarQuant|Trunc|MultiThreshold))$/;

/** Whether somebody has quantized this model before us. */
export function isQuantized(model: OnnxModel): boolean {
  for (const node of allNodes(model.graph)) {
    const op = opName(node);
    if (QUANTIZED_OPS.test(op) && op !== 'com.microsoft.QuickGelu') return true;
  }
  return false;
}
