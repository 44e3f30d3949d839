import type { QuantParams } from '../arithmetic.ts';
import type { Recurrent } from './recurrent/layout.ts';

/**
 * What each operator may become in full-integer models. From TensorFlow's quantization specification
 * and its property table (tflite/converter/tools/optimize/operator_property.cc), as far as the
 * kernels of TensorFlow Lite 2.9 go; test/quantize/tflite/kernels.test.ts runs every row on them.
 */

export type Role =
  /** Multiplies activations with constant weights: where the work is. */
  | 'weighted'
  /** Multiplies two activations, or one with a constant. */
  | 'product'
  /** Moves or picks values: the output has the input's scale and zero point. */
  | 'layout'
  /** Brings several inputs together as they are: they must have the output's scale already. */
  | 'joined'
  /** Computes and rescales: the output has a scale of its own, or none. */
  | 'rescaling';

export interface OpRule {
  readonly role: Role;
  /** Positions of the inputs that carry data; the others are parameters. */
  readonly data: readonly number[] | 'all';
  readonly weights?: WeightPlace;
  /** A layer with a state, whose weights are those that recurrent/ stores. */
  readonly recurrent?: Recurrent;
  /** Scale and zero point that the kernel demands of its output. */
  readonly fixedOutput?: FixedOutput;
  /** Whether there is a kernel for 16-bit activations. */
  readonly int16: boolean;
  /**
   * XNNPACK has a kernel for floats and none for int8, and TensorFlow Lite's own takes longer than to
   * turn into floats, compute and turn back.
   */
  readonly slow?: boolean;
}

export interface WeightPlace {
  /** Positions among the inputs. */
  readonly input: number;
  readonly bias: number;
  /** Axis of the output channels, and of the input channels that one of them sees. */
  readonly axis: number;
  readonly inputAxis: number;
  /** False where kernels, or those of XNNPACK, take one scale for all weights. */
  readonly perChannel: boolean;
  /** Whether XNNPACK takes it only with a bias. */
  readonly needsBias: boolean;
}

export interface FixedOutput {
  readonly s8: QuantParams;
  readonly s16?: QuantParams;
}

const s8 = (scale: number, zeroPoint: number): QuantParams => ({ type: 's8', scale, zeroPoint });
const s16: QuantParams = { type: 's16', scale: 2 ** -15, zeroPoint: 0 };

const weighted = (data: number, weights: WeightPlace): OpRule => ({
  role: 'weighted',
  data: [data],
  weights,
  int16: true,
});
const second = { input: 1, bias: 2, perChannel: false, needsBias: true } as const;
const layout: OpRule = { role: 'layout', data: [0], int16: true };
const joined: OpRule = { role: 'joined', data: [0, 1], int16: true };
const unary: OpRule = { role: 'rescaling', data: [0], int16: true };
const binary: OpRule = { role: 'rescaling', data: [0, 1], int16: true };
const eightBits = { int16: false } as const;
const slow = { slow: true } as const;
/** Hybrid kernels, of int8 weights and floats, took half (SVDF) to a sixth (LSTM) of the time on x86. */
const recurrent = { role: 'weighted', data: [0], int16: false, slow: true } as const;

export const OP_TABLE: ReadonlyMap<string, OpRule> = new Map<string, OpRule>([
  ['CONV_2D', weighted(0, { ...second, axis: 0, inputAxis: 3, perChannel: true })],
  // One filter per channel: [1, height, width, channels].
  ['DEPTHWISE_CONV_2D', weighted(0, { ...second, axis: 3, inputAxis: 0, perChannel: true })],
  ['TRANSPOSE_CONV', weighted(2, { ...second, bias: 3, axis: 0, inputAxis: 3, needsBias: false })],
  // See dense-as-conv.ts.
  ['FULLY_CONNECTED', weighted(0, { ...second, axis: 0, inputAxis: 1, needsBias: false })],
  ['BATCH_MATMUL', { role: 'product', data: [0, 1], int16: true }],
  ['UNIDIRECTIONAL_SEQUENCE_LSTM', { ...recurrent, recurrent: 'lstm' }],
  ['SVDF', { ...recurrent, recurrent: 'svdf' }],

  ['AVERAGE_POOL_2D', layout],
  ['MAX_POOL_2D', layout],
  ['RESHAPE', layout],
  ['SQUEEZE', layout],
  ['EXPAND_DIMS', layout],
  ['TRANSPOSE', layout],
  ['SLICE', layout],
  ['STRIDED_SLICE', layout],
  ['SPLIT', { ...layout, data: [1] }],
  ['SPLIT_V', layout],
  ['UNPACK', layout],
  ['GATHER', layout],
  ['GATHER_ND', layout],
  ['TILE', { ...layout, ...eightBits }],
  ['REVERSE_V2', layout],
  ['BROADCAST_TO', layout],
  ['FILL', { ...layout, data: [1] }],
  ['PAD', layout],
  ['MIRROR_PAD', { ...layout, ...eightBits }],
  ['RESIZE_BILINEAR', layout],
  ['RESIZE_NEAREST_NEIGHBOR', layout],
  ['SPACE_TO_DEPTH', { ...layout, ...eightBits }],
  ['DEPTH_TO_SPACE', { ...layout, ...eightBits }],
  ['SPACE_TO_BATCH_ND', { ...layout, ...eightBits }],
  ['BATCH_TO_SPACE_ND', { ...layout, ...eightBits }],
  ['REDUCE_MAX', layout],
  ['REDUCE_MIN', layout],
  ['TOPK_V2', { ...layout, ...eightBits }],
  ['SCATTER_ND', { ...layout, ...eightBits, data: [1] }],

  // Reads the shape alone, of whatever type.
  ['SHAPE', layout],
  ['RANK', layout],

  ['CONCATENATION', { ...joined, data: 'all' }],
  ['PACK', { ...joined, data: 'all' }],
  ['MAXIMUM', { ...joined, ...slow }],
  ['MINIMUM', { ...joined, ...slow }],
  ['SELECT', { ...joined, data: [1, 2] }],
  ['SELECT_V2', { ...joined, data: [1, 2] }],
  ['PADV2', { ...joined, data: [0, 2] }],
  ['DYNAMIC_UPDATE_SLICE', { ...joined, ...eightBits }],

  ['ADD', binary],
  ['SUB', binary],
  ['MUL', binary],
  ['SQUARED_DIFFERENCE', { ...binary, ...eightBits, ...slow }],
  ['PRELU', { ...binary, ...eightBits, ...slow }],
  ['MEAN', unary],
  ['SUM', { ...unary, ...eightBits }],
  ['ABS', { ...unary, ...slow }],
  ['RELU', { ...unary, ...slow }],
  ['RELU6', { ...unary, ...slow }],
  ['RELU_N1_TO_1', { ...unary, ...eightBits, ...slow }],
  ['LEAKY_RELU', { ...unary, ...slow }],
  ['HARD_SWISH', { ...unary, ...eightBits, ...slow }],
  ['ELU', { ...unary, ...eightBits }],
  ['GELU', { ...unary, ...eightBits }],
  ['RSQRT', { ...unary, ...eightBits, ...slow }],
  ['LOGISTIC', { ...unary, fixedOutput: { s8: s8(2 ** -8, -128), s16 } }],
  ['SOFTMAX', { ...unary, ...slow, fixedOutput: { s8: s8(2 ** -8, -128), s16 } }],
  ['TANH', { ...unary, fixedOutput: { s8: s8(2 ** -7, 0), s16 } }],
  ['L2_NORMALIZATION', { ...unary, ...eightBits, ...slow, fixedOutput: { s8: s8(2 ** -7, 0) } }],
  ['LOG_SOFTMAX', { ...unary, ...eightBits, fixedOutput: { s8: s8(2 ** -4, 127) } }],

  ['ARG_MAX', { ...unary, ...eightBits, ...slow }],
  ['ARG_MIN', { ...unary, ...eightBits, ...slow }],
  ['EQUAL', { ...binary, ...eightBits, ...slow }],
  ['NOT_EQUAL', { ...binary, ...eightBits, ...slow }],
  ['LESS', { ...binary, ...eightBits, ...slow }],
  ['LESS_EQUAL', { ...binary, ...eightBits, ...slow }],
  ['GREATER', { ...binary, ...eightBits, ...slow }],
  ['GREATER_EQUAL', { ...binary, ...eightBits, ...slow }],
]);

/** Why an operator that has no row stays in float. */
export function whyFloat(op: string): string {
  return WHY_FLOAT.get(op) ?? `TensorFlow Lite has no integer kernel for ${op}`;
}

const OBSERVED = 'nothing outside can see the values inside, whose ranges it would take';

const WHY_FLOAT: ReadonlyMap<string, string> = new Map([
  ['EXP', 'its int8 kernel came with TensorFlow Lite 2.12, and not all devices have that'],
  ['LOG', 'its int8 kernel came with TensorFlow Lite 2.15, and not all devices have that'],
  ['CAST', 'it turns numbers into numbers of another type, which takes the numbers themselves'],
  ['LSTM', OBSERVED],
  ['BIDIRECTIONAL_SEQUENCE_LSTM', OBSERVED],
  ['UNIDIRECTIONAL_SEQUENCE_RNN', OBSERVED],
  ['BIDIRECTIONAL_SEQUENCE_RNN', OBSERVED],
  ['RNN', OBSERVED],
  ['IF', 'control flow: its branches cannot be calibrated from outside'],
  ['WHILE', 'control flow: its body cannot be calibrated from outside'],
  ['CALL', 'control flow: what it calls cannot be calibrated from outside'],
]);
