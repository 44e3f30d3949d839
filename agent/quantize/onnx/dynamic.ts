import type { Scheme } from '../../contracts/scheme.ts';
import type { NodeProto } from '../../model/onnx/generated/messages.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';
import type { Quantized } from '../report.ts';
import { QuantizeError } from '../errors.ts';
import { convertLstm } from './dynamic-lstm.ts';
import { convertModel, gemmProduct, matMulProduct, replaceBy } from './products.ts';
import type { Context, Converter, Product } from './products.ts';
import { storeInt8 } from './weight-only.ts';

/**
 * Dynamic INT8: int8 weights, activations quantized while the model runs. Writes onnxruntime's fused
 * operators (com.microsoft.DynamicQuantizeMatMul, com.microsoft.DynamicQuantizeLSTM) directly, so
 * that nothing depends on a fusion. Tables and the weights of convolutions and other recurrent layers
 * are stored in 8 bits and computed with in float. Reaches into control-flow bodies: it needs no
 * calibration.
 */
export function quantizeDynamic(model: OnnxModel, scheme: Scheme): Quantized<OnnxModel> {
  const nothing =
    'no MatMul, Gemm or LSTM with constant weights: nothing to quantize dynamically; use int8-static or weight-int8';
  const made = convertModel(model, scheme, {
    byOp: CONVERTERS,
    nothing,
  });
  // Stored weights alone are another scheme.
  if (made.ops.every(({ precision }) => precision === 'float')) {
    throw new QuantizeError('NOTHING_TO_QUANTIZE', nothing);
  }
  return made;
}

/** Products whose activations are quantized while the model runs. */
export const PRODUCT_CONVERTERS: ReadonlyMap<string, Converter> = new Map<string, Converter>([
  ['MatMul', (node, context) => convertProduct(node, matMulProduct(node, context), context)],
  ['Gemm', (node, context) => convertProduct(node, gemmProduct(node, context), context)],
]);

const CONVERTERS: ReadonlyMap<string, Converter> = new Map<string, Converter>([
  ...PRODUCT_CONVERTERS,
  ['LSTM', convertLstm],
  // No scheme computes these in integers; a table is often half of the file.
  ...['Gather', 'GRU', 'RNN', 'ConvTranspose'].map((op) => [op, storeInt8] as const),
  ['Conv', (node, context) => `${storeInt8(node, context)}: ${SLOW_CONV}`],
]);

const SLOW_CONV = 'a dynamic convolution (ConvInteger) runs slower than float; use int8-static';

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
