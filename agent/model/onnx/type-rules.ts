import type { GraphProto, NodeProto } from './generated/messages.ts';
import { intAttribute, isDefaultDomain, tensorAttribute } from './graph.ts';
import { DataType } from './tensor.ts';

/**
 * The element type of every op's outputs (onnx docs, "Operators"; onnxruntime,
 * docs/ContribOperators.md). Ops of the standard set that are not listed hand on the type of their
 * first input.
 */

const { FLOAT, UINT8, INT32, INT64, STRING, BOOL } = DataType;

export type ElementType = number | undefined;

/** What a rule sees of one node. */
export interface Call {
  readonly node: NodeProto;
  readonly opset: number;
  /** Element type of an input; undefined where it is left out or unknown. */
  readonly input: (index: number) => ElementType;
  /** Output types of a body whose inputs have the given types. */
  readonly body: (name: string, inputs: readonly ElementType[]) => readonly ElementType[];
}

/** One type for every output, or a type for each. */
export type Rule = (call: Call) => ElementType | readonly ElementType[];

const inputType =
  (index: number): Rule =>
  ({ input }) =>
    input(index);
const first = inputType(0);
const always =
  (type: number): Rule =>
  () =>
    type;
const unknown: Rule = () => undefined;
const firstThen =
  (...rest: readonly number[]): Rule =>
  ({ input }) => [input(0), ...rest];
/** The type that an attribute names, else what `otherwise` says. */
const attribute =
  (name: string, otherwise: Rule): Rule =>
  (call) =>
    intAttribute(call.node, name) || otherwise(call);

const float = always(FLOAT);
const int64 = always(INT64);
const bool = always(BOOL);

const CONSTANT_ATTRIBUTES: Readonly<Record<string, number>> = {
  value_float: FLOAT,
  value_floats: FLOAT,
  value_int: INT64,
  value_ints: INT64,
  value_string: STRING,
  value_strings: STRING,
};

const constant: Rule = ({ node }) => {
  const [only] = node.attribute;
  return only?.t?.dataType ?? CONSTANT_ATTRIBUTES[only?.name ?? ''];
};

const quantize: Rule = attribute('output_dtype', ({ input, node }) =>
  (node.input[2] ?? '') === '' ? UINT8 : input(2),
);
const dequantize: Rule = attribute('output_dtype', inputType(1));

const stash: Rule = ({ node, input }) => {
  const type = intAttribute(node, 'stash_type') ?? FLOAT;
  return [input(0), type, type];
};

const inputsFrom = ({ node, input }: Call, from: number) =>
  node.input.slice(from).map((_, index) => input(from + index));

const branches: Rule = ({ body }) => {
  const otherwise = body('else_branch', []);
  return body('then_branch', []).map((type, index) => type ?? otherwise[index]);
};
/** Body inputs: iteration, condition, carried values. Its first output is the condition. */
const loop: Rule = (call) => call.body('body', [INT64, BOOL, ...inputsFrom(call, 2)]).slice(1);
/** Until opset 8 the first input was the sequence lengths. */
const scan: Rule = (call) => call.body('body', inputsFrom(call, call.opset < 9 ? 1 : 0));

const table = (...groups: readonly (readonly [rule: Rule, names: string])[]) =>
  new Map(groups.flatMap(([rule, names]) => names.split(' ').map((name) => [name, rule] as const)));

const STANDARD = table(
  [attribute('to', unknown), 'Cast BitCast'],
  [int64, 'Shape Size ArgMax ArgMin NonZero NonMaxSuppression SequenceLength'],
  [
    bool,
    'Equal Greater Less GreaterOrEqual LessOrEqual And Or Xor Not IsNaN IsInf OptionalHasElement RegexFullMatch',
  ],
  [constant, 'Constant'],
  [({ node }) => tensorAttribute(node, 'value')?.dataType ?? FLOAT, 'ConstantOfShape'],
  [inputType(1), 'Where CastLike'],
  [inputType(2), 'OneHot'],
  [attribute('dtype', first), 'EyeLike RandomNormalLike RandomUniformLike Bernoulli'],
  [attribute('dtype', float), 'RandomNormal RandomUniform'],
  [attribute('dtype', always(INT32)), 'Multinomial'],
  [attribute('output_datatype', float), 'BlackmanWindow HannWindow HammingWindow MelWeightMatrix'],
  [firstThen(INT64), 'TopK MaxPool'],
  [firstThen(INT64, INT64, INT64), 'Unique'],
  [({ input, opset }) => [input(0), opset < 10 ? input(0) : BOOL], 'Dropout'],
  [({ input }) => [input(0), input(3), input(4), input(3), input(4)], 'BatchNormalization'],
  [stash, 'LayerNormalization SimplifiedLayerNormalization'],
  [quantize, 'QuantizeLinear'],
  [dequantize, 'DequantizeLinear'],
  [() => [UINT8, FLOAT, UINT8], 'DynamicQuantizeLinear'],
  [inputType(7), 'QLinearConv QLinearMatMul'],
  [always(INT32), 'MatMulInteger ConvInteger'],
  [branches, 'If'],
  [loop, 'Loop'],
  [scan, 'Scan'],
  [always(STRING), 'StringNormalizer'],
  [() => [STRING, INT64], 'StringSplit'],
  [float, 'TfIdfVectorizer'],
  [always(UINT8), 'ImageDecoder'],
  [
    unknown,
    'SequenceConstruct SequenceAt SequenceEmpty SequenceInsert SequenceErase SequenceMap SplitToSequence ConcatFromSequence Optional OptionalGetElement',
  ],
);

const MICROSOFT = table(
  [
    first,
    'QLinearAdd QLinearMul QLinearSigmoid QLinearLeakyRelu QLinearSoftmax QLinearAveragePool QLinearGlobalAveragePool QLinearReduceMean ' +
      'DynamicQuantizeMatMul DynamicQuantizeLSTM MatMulNBits MatMulBnb4 MatMulFpQ4 FusedMatMul FusedConv FusedGemm TransposeMatMul ' +
      'Gelu QuickGelu BiasGelu FastGelu BiasSplitGelu BiasAdd BiasSoftmax BiasDropout GroupNorm SkipGroupNorm ' +
      'Attention MultiHeadAttention GroupQueryAttention PackedAttention PackedMultiHeadAttention DecoderMaskedMultiHeadAttention ' +
      'LongformerAttention RotaryEmbedding NhwcConv NhwcMaxPool NhwcFusedConv MoE QMoE Pad Trilu GridSample Inverse Rfft Irfft CDist',
  ],
  [quantize, 'QuantizeLinear'],
  [dequantize, 'DequantizeLinear'],
  [inputType(1), 'QLinearConcat QLinearWhere'],
  [inputType(2), 'MatMulIntegerToFloat GatherBlockQuantized'],
  [inputType(3), 'QAttention'],
  [inputType(7), 'QLinearConv'],
  [({ node, input }) => ((node.input[8] ?? '') === '' ? FLOAT : input(8)), 'QGemm'],
  [
    ({ input }) => [input(0), FLOAT, FLOAT, input(0)],
    'SkipLayerNormalization SkipSimplifiedLayerNormalization',
  ],
  [({ input }) => [input(2), INT32, input(2)], 'EmbedLayerNormalization'],
  [() => [FLOAT, INT32, FLOAT], 'QEmbedLayerNormalization'],
);

/** The rule for a node, by domain and op. */
export function ruleOf({ domain, opType = '' }: NodeProto): Rule {
  if (isDefaultDomain(domain)) return STANDARD.get(opType) ?? first;
  return (domain === 'com.microsoft' ? MICROSOFT.get(opType) : undefined) ?? unknown;
}

/** The body that a node keeps under this attribute. */
export function bodyOf(node: NodeProto, name: string): GraphProto | undefined {
  return node.attribute.find((one) => one.name === name)?.g;
}
