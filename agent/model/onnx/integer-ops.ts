import type { NodeProto } from './generated/messages.ts';
import { opName } from './graph.ts';
import type { GraphIndex } from './graph.ts';

/** How a model says that its layers compute with integers. */
export type QuantizedForm = 'qdq' | 'qoperator' | 'dynamic' | 'weight-only' | 'simulated';

/** Ops by form; onnxruntime, docs/ContribOperators.md. QONNX, FINN and Brevitas only simulate. */
const FORMS: readonly (readonly [QuantizedForm, RegExp])[] = [
  ['simulated', /\.(Quant|FakeQuantize|BipolarQuant|Trunc|MultiThreshold)$/],
  ['qoperator', /^(com\.microsoft\.)?(QLinear\w+|QGemm|QAttention|QEmbed\w+|QOrdered\w+|QMoE)$/],
  [
    'dynamic',
    /^(com\.microsoft\.)?(ConvInteger|MatMulInteger|MatMulInteger16|MatMulIntegerToFloat|DynamicQuantize\w+)$/,
  ],
  ['weight-only', /^com\.microsoft\.(MatMulNBits|MatMulBnb4|MatMulFpQ4|GatherBlockQuantized)$/],
  ['qdq', /^(com\.microsoft\.)?(Quantize|Dequantize)Linear$/],
];

/** Ops whose second input is a factor: with integers on both sides they need no integer output. */
const PRODUCTS = ['Conv', 'ConvTranspose', 'Gemm', 'MatMul'];
/** Absorbed by the layer before them when only QuantizeLinear follows. */
export const CLAMPS: readonly string[] = ['Relu', 'Clip'];

/** Ops whose results are among their inputs: they round nothing that was not rounded before. */
const MOVERS =
  'DepthToSpace Expand Flatten Gather Identity MaxPool Pad Reshape Slice SpaceToDepth Split Squeeze Tile Transpose Unsqueeze'.split(
    ' ',
  );

export const isMover = (node: NodeProto): boolean => MOVERS.includes(node.opType ?? '');
export const isQuantizeLinear = (node: NodeProto | undefined): boolean =>
  node?.opType === 'QuantizeLinear';
export const isDequantizeLinear = (node: NodeProto | undefined): boolean =>
  node?.opType === 'DequantizeLinear';

/** The form that an op belongs to; undefined for float ops. */
export function formOfOp(op: string): QuantizedForm | undefined {
  return FORMS.find(([, pattern]) => pattern.test(op))?.[0];
}

/**
 * The form of a whole model: that of its most telling op, since QOperator and dynamic models have
 * QuantizeLinear at their edges, too. Null for float models.
 */
export function formOfModel(ops: Iterable<string>): QuantizedForm | null {
  const found = new Set([...ops].map(formOfOp));
  return FORMS.find(([form]) => found.has(form))?.[0] ?? null;
}

/**
 * Whether a node computes with integers: by an op of its own, or as a layer in QDQ form, whose inputs
 * come out of DequantizeLinear and whose output goes into QuantizeLinear (of a product: its factors
 * are enough). What the runtime really makes of it, a profile tells.
 */
export function isIntegerNode(node: NodeProto, index: GraphIndex): boolean {
  const form = formOfOp(opName(node));
  if (form !== undefined) return form !== 'qdq' && form !== 'simulated';
  const inputs = node.input.filter((name) => name !== '');
  const [first = '', second = ''] = inputs;
  const dequantized = (name: string) => isDequantizeLinear(index.producer.get(name));
  if (CLAMPS.includes(opName(node)) && !dequantized(first)) {
    const before = index.producer.get(first);
    return before !== undefined && isIntegerNode(before, index) && isRounded(node, index);
  }
  const integers = inputs.some(dequantized);
  const nothingElse = inputs.every((name) => dequantized(name) || isConstant(name, index));
  if (!integers || !nothingElse) return false;
  return PRODUCTS.includes(opName(node)) ? dequantized(second) : isRounded(node, index);
}

function isRounded({ output: [name = ''] }: NodeProto, index: GraphIndex): boolean {
  const readers = index.consumers.get(name) ?? [];
  return readers.length > 0 && readers.every(isQuantizeLinear);
}

function isConstant(name: string, { producer, initializers }: GraphIndex): boolean {
  return initializers.has(name) || producer.get(name)?.opType === 'Constant';
}
