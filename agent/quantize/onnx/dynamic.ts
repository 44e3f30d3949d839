import type { Scheme } from '../../contracts/scheme.ts';
import type { NodeProto } from '../../model/onnx/generated/messages.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';
import type { Quantized } from '../report.ts';
import { convertLstm } from './dynamic-lstm.ts';
import { convertModel, gemmProduct, matMulProduct, replaceBy } from './products.ts';
import type { Context, Converter, Product } from './products.ts';

/**
 * Dynamic INT8: int8 weights, activations quantized while the model runs. Writes onnxruntime's fused
 * operators (com.microsoft.DynamicQuantizeMatMul, com.microsoft.DynamicQuantizeLSTM) directly, so
 * that nothing depends on a fusion. Reaches into control-flow bodies: it needs no calibration.
 */
export function quantizeDynamic(model: OnnxModel, scheme: Scheme): Quantized<OnnxModel> {
  return convertModel(model, scheme, {
    byOp: CONVERTERS,
    whyFloat: WHY_FLOAT,
    nothing: 'no MatMul, Gemm or LSTM with constant weights: nothing to quantize dynamically',
  });
}

const CONVERTERS: ReadonlyMap<string, Converter> = new Map<string, Converter>([
  ['MatMul', (node, context) => convertProduct(node, matMulProduct(node, context), context)],
  ['Gemm', (node, context) => convertProduct(node, gemmProduct(node, context), context)],
  ['LSTM', convertLstm],
]);

const WHY_FLOAT: ReadonlyMap<string, string> = new Map([
  ['Conv', 'a dynamic convolution (ConvInteger) runs slower than float: use int8-static'],
  ['GRU', 'onnxruntime has no integer GRU on the CPU'],
]);

function convertProduct(
  node: NodeProto,
  product: Product | string,
  context: Context,
): string | undefined {
  if (typeof product === 'string') return product;
  const { x, weight, transposed, bias, output } = product;
  const input = [
    x,
    ...weight.home.matrix(weight.tensor, transposed),
    ...(bias === undefined ? [] : [bias]),
  ];
  replaceBy(node, 'DynamicQuantizeMatMul', input, output, context);
  return undefined;
}
