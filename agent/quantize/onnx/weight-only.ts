import type { Scheme } from '../../contracts/scheme.ts';
import type { NodeProto } from '../../model/onnx/generated/messages.ts';
import { makeAttribute, opName } from '../../model/onnx/graph.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';
import { elementCount } from '../../model/onnx/tensor.ts';
import type { Quantized } from '../report.ts';
import type { BlockShape } from './blocks.ts';
import { convertLstm } from './dynamic-lstm.ts';
import { allFinite } from './obstacles.ts';
import {
  NOT_FINITE,
  convertModel,
  floatConstant,
  gemmProduct,
  matMulProduct,
  replaceBy,
} from './products.ts';
import type { Context, Converter, Product } from './products.ts';

/**
 * Weights in 8 or 4 bits, no calibration. Matrix products become com.microsoft.MatMulNBits, whose
 * weights have a scale per block of values, and which runs on integers: activations are quantized
 * per block, too, while the model runs; an LSTM becomes com.microsoft.DynamicQuantizeLSTM. The weights of other ops are stored as int8 and made floats
 * again when the model is loaded: the file is smaller, the arithmetic stays float.
 */
export function quantizeWeights(model: OnnxModel, scheme: Scheme): Quantized<OnnxModel> {
  return convertModel(model, scheme, {
    byOp: CONVERTERS,
    nothing: `no matrix products, and no other weights of ${MIN_ELEMENTS} values or more: nothing to gain`,
  });
}

/** Axes of an op's weights that have a scale of their own, by the position of the weights. */
const STORED: Readonly<Record<string, Readonly<Record<number, readonly number[]>>>> = {
  Conv: { 1: [0] },
  ConvTranspose: { 1: [1] },
  Gather: { 0: [0] },
  GRU: { 1: [0, 1], 2: [0, 1] },
  RNN: { 1: [0, 1], 2: [0, 1] },
};

/** Fewer cost more in names and scales than they save. */
const MIN_ELEMENTS = 512;

const CONVERTERS: ReadonlyMap<string, Converter> = new Map<string, Converter>([
  ['MatMul', (node, context) => convertProduct(node, matMulProduct, context)],
  ['Gemm', (node, context) => convertProduct(node, gemmProduct, context)],
  ['LSTM', convertLstm],
  ...Object.keys(STORED).map((op) => [op, storeInt8] as const),
]);

function convertProduct(
  node: NodeProto,
  read: (node: NodeProto, context: Context) => Product | string,
  context: Context,
): string | undefined {
  const product = read(node, context);
  if (typeof product === 'string') return product;
  const { x, weight, transposed, bias, output } = product;
  const [rows = 0, columns = 0] = weight.tensor.dims;
  const [depth, count] = transposed ? [columns, rows] : [rows, columns];
  const shape = blockShape(context.scheme, depth);
  const [values = '', scales = '', zeroPoints = ''] = weight.home.blocks(
    weight.tensor,
    transposed,
    shape,
  );
  const input = [x, values, scales, zeroPoints, '', bias ?? ''];
  const attributes = {
    K: BigInt(depth),
    N: BigInt(count),
    bits: BigInt(shape.bits),
    block_size: BigInt(shape.blockSize),
    accuracy_level: INTEGER_ACTIVATIONS,
  };
  const attribute = Object.entries(attributes).map(([name, value]) => makeAttribute(name, value));
  replaceBy(node, 'MatMulNBits', withoutTail(input), output, context, attribute);
  return undefined;
}

/** MatMulNBits, accuracy_level: the level that computes on int8 activations, several times faster. */
const INTEGER_ACTIVATIONS = 4n;
const BLOCK_SIZE = 32;
const SMALLEST_BLOCK = 16;

function blockShape({ weights }: Scheme, depth: number): BlockShape {
  const blockSize = depth < BLOCK_SIZE ? SMALLEST_BLOCK : BLOCK_SIZE;
  return { bits: weights === 's4' ? 4 : 8, blockSize };
}

/** Inputs that are left out at the end are not named. */
function withoutTail(input: readonly string[]): readonly string[] {
  const last = input.findLastIndex((name) => name !== '');
  return input.slice(0, last + 1);
}

/** Why nothing was stored. */
export const NOTHING_STORED = 'has no weights worth storing in 8 bits';

/** Stores the weights of a node that computes in float as int8, and says so. */
export function storeInt8(node: NodeProto, context: Context): string {
  let stored = 0;
  for (const [position, axes] of Object.entries(STORED[opName(node)] ?? {})) {
    const weight = floatConstant(node.input[Number(position)], context);
    if (weight === undefined || elementCount(weight.tensor.dims) < MIN_ELEMENTS) continue;
    if (!allFinite(weight.tensor)) return NOT_FINITE;
    weight.home.compress(weight.tensor, axes);
    stored += 1;
  }
  if (stored === 0) return NOTHING_STORED;
  return 'computes in float, with weights in 8 bits';
}
