import { optionsOf } from '../../model/tflite/types.ts';
import type { TensorType, TfliteOperator, TfliteTensor } from '../../model/tflite/types.ts';

/**
 * Which version of an operator a runtime must know to run it with these types: a runtime that knows
 * version 3 knows 1 and 2, too. Facts from TensorFlow's own table (tflite/tools/versioning/
 * op_version.cc). A version that is too low is not noticed when a model is loaded: an old runtime
 * then reads what it does not understand and computes nonsense.
 */

/** What versions depend on. */
interface Facts {
  readonly operator: TfliteOperator;
  /** Type of the tensor that decides: the activation, or the first of several. */
  readonly data: TensorType | undefined;
  readonly weights: TensorType | undefined;
  readonly output: TensorType | undefined;
  /** Whether the weights, or the data of QUANTIZE and DEQUANTIZE, have a scale per channel. */
  readonly perChannel: boolean;
  readonly rank: number;
  /** CONV_2D whose filters see some of the channels only. */
  readonly isGrouped: boolean;
  /** Of the inputs, then of the outputs; 0 for none. */
  readonly scales: readonly number[];
}

type Feature = readonly [version: number, holds: (facts: Facts) => boolean];

const isData =
  (...types: readonly TensorType[]) =>
  ({ data }: Facts) =>
    data !== undefined && types.includes(data);
const int8 = isData('INT8');
const int16 = isData('INT16');
const rankAbove =
  (most: number) =>
  ({ rank }: Facts) =>
    rank > most;

/** Float activations with integer weights: the kernel quantizes the activations as it runs. */
const hybrid = ({ data, weights }: Facts) =>
  data === 'FLOAT32' && (weights === 'INT8' || weights === 'UINT8' || weights === 'INT4');
const hybridPerChannel = (facts: Facts) => hybrid(facts) && facts.perChannel;
const asymmetric = (facts: Facts) => {
  const { options } = facts.operator;
  return (
    hybrid(facts) &&
    options !== null &&
    'asymmetricQuantizeInputs' in options &&
    options.asymmetricQuantizeInputs
  );
};
const weightsOf =
  (type: TensorType) =>
  ({ weights }: Facts) =>
    weights === type;
const int16By = (type: TensorType) => (facts: Facts) => int16(facts) && facts.weights === type;

/** A model says of which type its biases are only where they are not as usual. */
const toldBias = (facts: Facts) => {
  const { options } = facts.operator;
  return (
    int16By('INT8')(facts) &&
    options !== null &&
    'quantizedBiasType' in options &&
    options.quantizedBiasType !== 'FLOAT32'
  );
};

const hasActivation = ({ operator: { options } }: Facts) =>
  options !== null &&
  'fusedActivationFunction' in options &&
  options.fusedActivationFunction !== 'NONE';
const hasInput =
  (position: number) =>
  ({ operator: { inputs } }: Facts) =>
    (inputs[position] ?? -1) >= 0;
const exactPixels = ({ operator: { options } }: Facts) =>
  options !== null &&
  'halfPixelCenters' in options &&
  (options.halfPixelCenters || options.alignCorners);
const rescalesUp = ({ scales: [a = 0, b = 0, made = Infinity], data }: Facts) =>
  (data === 'INT8' || data === 'UINT8') && made > 0 && (a * b) / made >= 1;

const plain: readonly Feature[] = [[2, int8]];
const withInt16: readonly Feature[] = [...plain, [3, int16]];
const moved: readonly Feature[] = [...plain, [4, int16]];
const recurrent: readonly Feature[] = [
  [2, hybrid],
  [3, asymmetric],
];

const FEATURES: Readonly<Record<string, readonly Feature[]>> = {
  CONV_2D: [
    [2, hybrid],
    [3, int8],
    [4, int16],
    [5, hybridPerChannel],
    [6, ({ isGrouped }) => isGrouped],
    [7, weightsOf('INT4')],
    [8, toldBias],
  ],
  DEPTHWISE_CONV_2D: [
    [2, isDilated],
    [3, int8],
    [4, hybrid],
    [5, int16],
    [6, hybridPerChannel],
    [7, weightsOf('INT4')],
  ],
  FULLY_CONNECTED: [
    [3, hybrid],
    [4, int8],
    [5, ({ operator }) => optionsOf(operator, 'FullyConnectedOptions')?.keepNumDims === true],
    [6, (facts) => !hasInput(2)(facts)],
    [7, int16],
    [9, asymmetric],
    [10, (facts) => int8(facts) && facts.weights === 'INT4'],
    [11, toldBias],
    [12, hybridPerChannel],
    [13, int16By('INT4')],
    [14, weightsOf('INT2')],
  ],
  BATCH_MATMUL: [
    [2, int8],
    [3, int16],
    [4, asymmetric],
  ],
  TRANSPOSE_CONV: [
    [2, int8],
    [3, hasInput(3)],
    [4, hasActivation],
    [5, toldBias],
  ],
  EMBEDDING_LOOKUP: [
    [3, weightsOf('INT8')],
    [4, (facts) => weightsOf('INT4')(facts) || (weightsOf('INT8')(facts) && facts.perChannel)],
    [5, weightsOf('INT2')],
  ],
  ADD: [...plain, [3, int16]],
  SUB: [...plain, [5, int16]],
  MUL: [...plain, [3, rescalesUp], [4, int16]],
  AVERAGE_POOL_2D: withInt16,
  MAX_POOL_2D: withInt16,
  SOFTMAX: withInt16,
  TANH: withInt16,
  LOGISTIC: withInt16,
  RELU: withInt16,
  RELU6: withInt16,
  MEAN: withInt16,
  MIRROR_PAD: withInt16,
  REDUCE_MAX: withInt16,
  REDUCE_MIN: withInt16,
  RSQRT: withInt16,
  PACK: withInt16,
  CONCATENATION: [...withInt16, [4, rankAbove(4)]],
  PAD: [...withInt16, [4, rankAbove(4)]],
  PADV2: [...withInt16, [4, rankAbove(4)]],
  MAXIMUM: moved,
  MINIMUM: moved,
  RESIZE_BILINEAR: [...plain, [3, exactPixels], [4, int16]],
  RESIZE_NEAREST_NEIGHBOR: [...plain, [3, exactPixels], [4, int16]],
  LSTM: [
    [3, hybrid],
    [4, asymmetric],
    [5, int16],
  ],
  UNIDIRECTIONAL_SEQUENCE_LSTM: [...recurrent, [5, int16]],
  BIDIRECTIONAL_SEQUENCE_LSTM: recurrent,
  RNN: recurrent,
  UNIDIRECTIONAL_SEQUENCE_RNN: recurrent,
  BIDIRECTIONAL_SEQUENCE_RNN: recurrent,
  SVDF: [
    [2, hybrid],
    [3, int8],
    [4, asymmetric],
  ],
  QUANTIZE: [
    [2, ({ output }) => output === 'INT16'],
    [3, ({ perChannel }) => perChannel],
    [4, ({ output }) => output === 'INT4'],
  ],
  DEQUANTIZE: [
    [2, int8],
    [3, isData('INT16', 'FLOAT16')],
    [5, ({ perChannel }) => perChannel],
    [6, isData('INT4')],
    [7, isData('INT2')],
  ],
  TRANSPOSE: [...plain, [4, rankAbove(4)], [5, int16], [6, rankAbove(5)]],
  SLICE: [...moved, [5, rankAbove(4)]],
  STRIDED_SLICE: [...plain, [4, rankAbove(4)], [6, addsAxes]],
  SPLIT: moved,
  SPLIT_V: plain,
  UNPACK: moved,
  GATHER: [...moved, [5, hasBatches]],
  SPACE_TO_BATCH_ND: [...plain, [3, ({ rank }) => rank !== 4], [4, int16]],
  BATCH_TO_SPACE_ND: [...plain, [3, ({ rank }) => rank !== 4], [4, int16]],
  SPACE_TO_DEPTH: plain,
  DEPTH_TO_SPACE: plain,
  L2_NORMALIZATION: plain,
  LOG_SOFTMAX: plain,
  SUM: plain,
  SQUARED_DIFFERENCE: plain,
  ARG_MAX: plain,
  ARG_MIN: plain,
  TOPK_V2: plain,
  GELU: plain,
  ABS: withInt16,
  SELECT: plain,
  EXP: [[2, isData('INT8', 'INT16')]],
  LOG: [[2, isData('INT8', 'INT16')]],
  SQRT: [[2, isData('INT8', 'INT16')]],
  REDUCE_PROD: [[2, isData('INT8', 'INT16')]],
  EQUAL: [...plain, [5, int16]],
  NOT_EQUAL: [...plain, [4, int16]],
  LESS: [...plain, [3, int16]],
  GREATER_EQUAL: [...plain, [3, int16]],
  LESS_EQUAL: plain,
  GREATER: plain,
  TILE: [[3, int8]],
  REVERSE_V2: [[3, int8]],
  BROADCAST_TO: [
    [2, () => true],
    [3, isData('INT8', 'INT16')],
  ],
  FILL: [[3, isData('INT8', 'INT16')]],
  LEAKY_RELU: [[2, int16]],
  GATHER_ND: [[3, int16]],
};

/** Where the deciding tensor stands, if not first. */
const DATA_AT: Readonly<Record<string, number>> = {
  TRANSPOSE_CONV: 2,
  SPLIT: 1,
  SELECT: 1,
  SELECT_V2: 1,
  FILL: 1,
};

/** Where weights stand, if not second. */
const WEIGHTS_AT: Readonly<Record<string, number>> = { LSTM: 2, UNIDIRECTIONAL_SEQUENCE_LSTM: 2 };

/** The tensors that an operator refers to, with the types that they are going to have. */
export type TensorAt = (index: number) => TfliteTensor | undefined;

/**
 * The version that an operator needs: at least the one that it has, since that says what else of the
 * operator it uses.
 */
export function operatorVersion(operator: TfliteOperator, tensorAt: TensorAt): number {
  const facts = factsOf(operator, tensorAt);
  const needed = (FEATURES[operator.op] ?? []).filter(([, holds]) => holds(facts));
  return Math.max(operator.version, ...needed.map(([version]) => version));
}

function factsOf(operator: TfliteOperator, tensorAt: TensorAt): Facts {
  const { op, inputs, outputs } = operator;
  const input = (position: number) => tensorAt(inputs[position] ?? -1);
  const data = input(DATA_AT[op] ?? 0);
  const weights = input(WEIGHTS_AT[op] ?? 1);
  const output = tensorAt(outputs[0] ?? -1);
  const scaled = op === 'QUANTIZE' ? output : op === 'DEQUANTIZE' ? data : weights;
  return {
    operator,
    data: data?.type,
    weights: weights?.type,
    output: output?.type,
    perChannel: (scaled?.quantization?.scale.length ?? 0) > 1,
    rank: Math.max(data?.shape.length ?? 0, output?.shape.length ?? 0),
    isGrouped: op === 'CONV_2D' && (data?.shape[3] ?? 0) > (weights?.shape[3] ?? 0),
    scales: [...inputs, ...outputs].map((index) => tensorAt(index)?.quantization?.scale[0] ?? 0),
  };
}

function isDilated({ operator }: Facts): boolean {
  const options = optionsOf(operator, 'DepthwiseConv2DOptions');
  return (options?.dilationWFactor ?? 1) !== 1 || (options?.dilationHFactor ?? 1) !== 1;
}

function addsAxes({ operator }: Facts): boolean {
  const options = optionsOf(operator, 'StridedSliceOptions');
  return (options?.ellipsisMask ?? 0) !== 0 || (options?.newAxisMask ?? 0) !== 0;
}

function hasBatches({ operator }: Facts): boolean {
  return (optionsOf(operator, 'GatherOptions')?.batchDims ?? 0) !== 0;
}
