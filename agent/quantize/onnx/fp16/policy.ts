import type { NodeProto, TensorProto } from '../../../model/onnx/generated/messages.ts';
import { intsAttribute, opName, stringAttribute } from '../../../model/onnx/graph.ts';
import { tensorData } from '../../../model/onnx/tensor.ts';
import { isExcluded } from '../excluded.ts';

/** Which ops may compute in float16, and why the others may not. */

const words = (text: string): ReadonlySet<string> => new Set(text.split(' '));

/** onnxruntime, transformers/float16.py, DEFAULT_OP_BLOCK_LIST; ai.onnx.ml is foreign anyway. */
const BLOCKED = words(
  'RandomUniformLike NonMaxSuppression TopK RoiAlign Range CumSum Min Max Upsample',
);

/** Ops that the standard defines for float32 and wider only, or that make their own numbers. */
const FLOAT_ONLY = words(
  'BitCast Celu IsInf TfIdfVectorizer MelWeightMatrix BlackmanWindow HannWindow HammingWindow ' +
    'EyeLike RandomNormal RandomUniform RandomNormalLike Bernoulli Multinomial',
);

/** Ops without a kernel for float16 on the CPU, and with a definition that onnxruntime cannot expand in it. */
const NOT_EXPANDED = words('MeanVarianceNormalization');

/** Ops that only move values in float16, and compute with them in wider types alone. */
const REDUCING = words('ScatterElements ScatterND');

/** What is near zero decides the result, and float16 ends at 6e-8. */
const NEAR_ZERO = words('Log Reciprocal');

/** com.microsoft ops that are defined for float16. */
const CONTRIB = words(
  'Attention BiasAdd BiasGelu BiasSoftmax BiasSplitGelu FastGelu FusedConv FusedGemm FusedMatMul Gelu GroupNorm ' +
    'GroupQueryAttention MultiHeadAttention NhwcConv QuickGelu RotaryEmbedding SkipGroupNorm ' +
    'SkipLayerNormalization SkipSimplifiedLayerNormalization TransposeMatMul',
);

/** A value out of range in these is a mask or a bound, and means the same when clamped. */
const CLAMP_IS_HARMLESS = words(
  'Add Clip Concat Equal Expand Flatten Gather Greater GreaterOrEqual Identity If Less LessOrEqual Loop Pad Reshape ' +
    'Scan ScatterND Slice Split Squeeze Sub Tile Transpose Unsqueeze Where',
);

/** Inputs that are float32 whatever the others are. */
const FLOAT_INPUTS: Readonly<Record<string, readonly number[]>> = {
  Resize: [1, 2],
  'com.microsoft.GroupNorm': [1, 2],
  'com.microsoft.SkipGroupNorm': [1, 2],
};

/** Outputs that are float32 whatever the others are. */
const FLOAT_OUTPUTS: Readonly<Record<string, readonly number[]>> = {
  LayerNormalization: [1, 2],
  SimplifiedLayerNormalization: [1],
  'com.microsoft.SkipLayerNormalization': [1, 2],
  'com.microsoft.SkipSimplifiedLayerNormalization': [1, 2],
};

/** Inputs that may have any type, so that nothing need be cast for them. */
const ANY_INPUTS: Readonly<Record<string, readonly number[]>> = {
  Cast: [0],
  CastLike: [0],
  Shape: [0],
  Size: [0],
};

/** Ops that compute nothing with floats, whatever they read and make. */
const NOT_COUNTED = words('Cast Constant ConstantOfShape Shape Size');

const lists = (table: Readonly<Record<string, readonly number[]>>, node: NodeProto, at: number) =>
  table[opName(node)]?.includes(at) ?? false;

export const isFloatInput = (node: NodeProto, at: number) => lists(FLOAT_INPUTS, node, at);
export const isFloatOutput = (node: NodeProto, at: number) => lists(FLOAT_OUTPUTS, node, at);
export const isAnyInput = (node: NodeProto, at: number) => lists(ANY_INPUTS, node, at);
export const isCounted = (node: NodeProto) => !NOT_COUNTED.has(opName(node));

export interface Blocked {
  readonly ops: ReadonlySet<string>;
  readonly nodes: readonly string[];
}

/** Why this node must stay in float; undefined when nothing speaks against float16. */
export function whyFloat(
  node: NodeProto,
  constants: readonly TensorProto[],
  blocked: Blocked,
): string | undefined {
  const op = opName(node);
  if (isExcluded({ excluded: blocked.nodes }, node)) return 'excluded by name';
  if (blocked.ops.has(op)) return 'excluded by op';
  if (BLOCKED.has(op) || FLOAT_ONLY.has(op) || NOT_EXPANDED.has(op)) {
    return `${op} is not made for float16`;
  }
  const reduction = stringAttribute(node, 'reduction') ?? 'none';
  if (REDUCING.has(op) && reduction !== 'none') {
    return `${op} with reduction ${reduction} is not made for float16`;
  }
  if (NEAR_ZERO.has(op)) return `${op} needs numbers near zero`;
  if (op.includes('.') && !CONTRIB.has(op.replace('com.microsoft.', ''))) return 'unknown op';
  return constants.flatMap((tensor) => outOfRange(tensor, op) ?? [])[0];
}

const LARGEST = 65504;
/** A single number below this keeps less than four bits in float16. */
const SMALLEST_SCALAR = 2 ** -20;

function outOfRange(tensor: TensorProto, op: string): string | undefined {
  const data = tensorData(tensor);
  const [only] = data;
  const size = Math.abs(Number(only));
  if (data.length === 1 && size > 0 && size < SMALLEST_SCALAR) {
    return `the constant ${Number(only)} is too small for float16`;
  }
  if (CLAMP_IS_HARMLESS.has(op)) return undefined;
  for (const value of data) {
    if (value > LARGEST || value < -LARGEST) {
      if (Number.isFinite(value)) return `the constant ${value} is beyond float16`;
    }
  }
  return undefined;
}

/**
 * A Transpose that moves the first axis to one of the last two. onnxruntime 1.30 fuses it with the
 * MatMul behind it, and in float16 the process dies of that (seen on x64 with all optimizations).
 */
export function isBatchTranspose(node: NodeProto): boolean {
  const perm = intsAttribute(node, 'perm') ?? [];
  const moved = perm.indexOf(0);
  const rest = perm.filter((axis) => axis !== 0);
  const inOrder = rest.every((axis, index) => axis === index + 1);
  return opName(node) === 'Transpose' && perm.length > 2 && inOrder && moved >= perm.length - 2;
}
