import type { TfliteModel } from '../../../agent/model/tflite/types.ts';
import { makeOperator, makeTensor } from '../../../agent/model/tflite/types.ts';
import type {
  BuiltinOperator,
  OperatorOptions,
  TfliteTensor,
} from '../../../agent/model/tflite/types.ts';
import type { Feeds } from '../../../agent/runtime/types.ts';
import { constant, tinyTflite, value } from '../../support/tflite-models.ts';
import { randoms, sizeOf } from '../support.ts';

/** One operator around tensors whose values int8 holds exactly. */
export interface SingleOp {
  readonly op: BuiltinOperator;
  /** Shapes of what is computed, and constants, in order. */
  readonly inputs: readonly (readonly number[] | TfliteTensor)[];
  /** The first input's shape unless told. */
  readonly outputs?: readonly (readonly number[] | TfliteTensor)[];
  readonly options?: OperatorOptions;
  readonly version?: number;
  /** Values from zero up. */
  readonly positive?: boolean;
}

const S = [1, 6, 6, 8];
const noActivation = { fusedActivationFunction: 'NONE' } as const;
const stride = (by: number, padding: 'SAME' | 'VALID' = 'SAME') => ({
  padding,
  strideW: by,
  strideH: by,
});
const noDilation = { dilationWFactor: 1, dilationHFactor: 1 } as const;
const plainBias = { quantizedBiasType: 'FLOAT32' } as const;

const ints = (name: string, values: readonly number[], shape = [values.length]) =>
  constant(name, Int32Array.from(values), { shape });

/** Multiples of 1/127 that fill [-1, 1] in every channel, in whatever axis these lie. */
export function weights(shape: readonly number[], axis: number, seed = 7): TfliteTensor {
  const next = randoms(seed);
  const inner = sizeOf(shape.slice(axis + 1));
  const seen = new Set<number>();
  const values = Float32Array.from({ length: sizeOf(shape) }, (_, at) => {
    const channel = Math.floor(at / inner) % shape[axis]!;
    const isFirst = !seen.has(channel);
    seen.add(channel);
    return (isFirst ? 127 : Math.round(next() * 127)) / 127;
  });
  return constant('w', values, { shape: [...shape] });
}

function floatConstant(name: string, shape: readonly number[], seed = 3): TfliteTensor {
  return constant(name, gridValues(shape, randoms(seed), false), { shape: [...shape] });
}

const bias = (count: number) =>
  constant(
    'b',
    Float32Array.from({ length: count }, (_, i) => (i - count / 2) / 8),
  );
const out = (name: string, type: 'INT32' | 'BOOL', shape: readonly number[]) =>
  value(name, shape, type);
const reduce = (shape: readonly number[]): Omit<SingleOp, 'op'> => ({
  inputs: [S, ints('axes', [1, 2])],
  outputs: [shape],
  options: { kind: 'ReducerOptions', keepDims: true },
});
const pads = ints('pads', [0, 0, 1, 1, 2, 0, 0, 0], [4, 2]);
const padded = [1, 8, 8, 8];
const condition = makeTensor({
  name: 'condition',
  type: 'BOOL',
  shape: S,
  data: Uint8Array.from({ length: sizeOf(S) }, (_, i) => (i % 3 === 0 ? 1 : 0)),
});
const compare = (op: BuiltinOperator, options: OperatorOptions): SingleOp => ({
  op,
  inputs: [S, S],
  outputs: [out('y', 'BOOL', S)],
  options,
});
const argument = (kind: 'ArgMaxOptions' | 'ArgMinOptions'): Omit<SingleOp, 'op'> => ({
  inputs: [S, ints('axis', [3], [])],
  outputs: [out('y', 'INT32', [1, 6, 6])],
  options: { kind, outputType: 'INT32' },
});

const WEIGHTED: readonly SingleOp[] = [
  {
    op: 'CONV_2D',
    inputs: [S, weights([4, 3, 3, 8], 0), bias(4)],
    outputs: [[1, 3, 3, 4]],
    options: { kind: 'Conv2DOptions', ...stride(2), ...noActivation, ...noDilation, ...plainBias },
  },
  {
    op: 'DEPTHWISE_CONV_2D',
    inputs: [S, weights([1, 3, 3, 16], 3), bias(16)],
    outputs: [[1, 6, 6, 16]],
    options: {
      kind: 'DepthwiseConv2DOptions',
      ...stride(1),
      depthMultiplier: 2,
      ...noActivation,
      ...noDilation,
    },
  },
  {
    op: 'TRANSPOSE_CONV',
    inputs: [ints('size', [1, 12, 12, 4]), weights([4, 2, 2, 8], 0), S],
    outputs: [[1, 12, 12, 4]],
    options: { kind: 'TransposeConvOptions', ...stride(2), ...noActivation, ...plainBias },
  },
  {
    op: 'FULLY_CONNECTED',
    inputs: [[3, 8], weights([5, 8], 0), bias(5)],
    outputs: [[3, 5]],
    options: {
      kind: 'FullyConnectedOptions',
      ...noActivation,
      weightsFormat: 'DEFAULT',
      keepNumDims: false,
      asymmetricQuantizeInputs: false,
      ...plainBias,
    },
  },
  {
    op: 'BATCH_MATMUL',
    inputs: [
      [2, 4, 8],
      [2, 8, 4],
    ],
    outputs: [[2, 4, 4]],
    options: {
      kind: 'BatchMatMulOptions',
      adjX: false,
      adjY: false,
      asymmetricQuantizeInputs: false,
    },
  },
];

const pool = {
  inputs: [S],
  outputs: [[1, 3, 3, 8]],
  options: {
    kind: 'Pool2DOptions',
    ...stride(2, 'VALID'),
    filterWidth: 2,
    filterHeight: 2,
    ...noActivation,
  },
} as const;
const batches = ints('blocks', [2, 2]);
const noCrops = ints('crops', [0, 0, 0, 0], [2, 2]);
const scaled = {
  inputs: [S, ints('size', [12, 12])],
  outputs: [[1, 12, 12, 8]],
} as const;

const LAYOUT: readonly SingleOp[] = [
  { op: 'AVERAGE_POOL_2D', ...pool },
  { op: 'MAX_POOL_2D', ...pool },
  {
    op: 'RESHAPE',
    inputs: [S, ints('shape', [36, 8])],
    outputs: [[36, 8]],
    options: { kind: 'ReshapeOptions', newShape: [36, 8] },
  },
  {
    op: 'SQUEEZE',
    inputs: [S],
    outputs: [[6, 6, 8]],
    options: { kind: 'SqueezeOptions', squeezeDims: [0] },
  },
  {
    op: 'EXPAND_DIMS',
    inputs: [S, ints('axis', [0], [])],
    outputs: [[1, ...S]],
    options: { kind: 'ExpandDimsOptions' },
  },
  {
    op: 'TRANSPOSE',
    inputs: [S, ints('order', [0, 3, 1, 2])],
    outputs: [[1, 8, 6, 6]],
    options: { kind: 'TransposeOptions' },
  },
  {
    op: 'SLICE',
    inputs: [S, ints('begin', [0, 1, 2, 0]), ints('size', [1, 3, 3, 8])],
    outputs: [[1, 3, 3, 8]],
    options: { kind: 'SliceOptions' },
  },
  {
    op: 'STRIDED_SLICE',
    inputs: [S, ints('from', [0, 0, 0, 0]), ints('to', S), ints('by', [1, 2, 2, 1])],
    outputs: [[1, 3, 3, 8]],
    options: {
      kind: 'StridedSliceOptions',
      beginMask: 0,
      endMask: 0,
      ellipsisMask: 0,
      newAxisMask: 0,
      shrinkAxisMask: 0,
      offset: false,
    },
  },
  {
    op: 'SPLIT',
    inputs: [ints('axis', [3], []), S],
    outputs: [
      [1, 6, 6, 4],
      [1, 6, 6, 4],
    ],
    options: { kind: 'SplitOptions', numSplits: 2 },
  },
  {
    op: 'SPLIT_V',
    inputs: [S, ints('sizes', [3, 5]), ints('axis', [3], [])],
    outputs: [
      [1, 6, 6, 3],
      [1, 6, 6, 5],
    ],
    options: { kind: 'SplitVOptions', numSplits: 2 },
  },
  {
    op: 'UNPACK',
    inputs: [[2, 6, 8]],
    outputs: [
      [6, 8],
      [6, 8],
    ],
    options: { kind: 'UnpackOptions', num: 2, axis: 0 },
  },
  {
    op: 'GATHER',
    inputs: [S, ints('picked', [5, 0, 2])],
    outputs: [[1, 3, 6, 8]],
    options: { kind: 'GatherOptions', axis: 1, batchDims: 0 },
  },
  {
    op: 'GATHER_ND',
    inputs: [S, ints('picked', [0, 5, 0, 1], [2, 2])],
    outputs: [[2, 6, 8]],
    options: { kind: 'GatherNdOptions' },
  },
  {
    op: 'TILE',
    inputs: [S, ints('times', [1, 1, 1, 2])],
    outputs: [[1, 6, 6, 16]],
    options: { kind: 'TileOptions' },
  },
  {
    op: 'REVERSE_V2',
    inputs: [S, ints('axis', [1])],
    options: { kind: 'ReverseV2Options' },
  },
  {
    op: 'BROADCAST_TO',
    inputs: [[1, 1, 6, 8], ints('shape', S)],
    outputs: [S],
    options: { kind: 'BroadcastToOptions' },
    version: 2,
  },
  {
    op: 'FILL',
    inputs: [ints('shape', [2, 3]), []],
    outputs: [[2, 3]],
    options: { kind: 'FillOptions' },
  },
  { op: 'PAD', inputs: [S, pads], outputs: [padded], options: { kind: 'PadOptions' } },
  {
    op: 'MIRROR_PAD',
    inputs: [S, pads],
    outputs: [padded],
    options: { kind: 'MirrorPadOptions', mode: 'REFLECT' },
  },
  {
    op: 'RESIZE_BILINEAR',
    ...scaled,
    options: {
      kind: 'ResizeBilinearOptions',
      newHeight: 0,
      newWidth: 0,
      alignCorners: false,
      halfPixelCenters: true,
    },
  },
  {
    op: 'RESIZE_NEAREST_NEIGHBOR',
    ...scaled,
    options: { kind: 'ResizeNearestNeighborOptions', alignCorners: false, halfPixelCenters: false },
  },
  {
    op: 'SPACE_TO_DEPTH',
    inputs: [S],
    outputs: [[1, 3, 3, 32]],
    options: { kind: 'SpaceToDepthOptions', blockSize: 2 },
  },
  {
    op: 'DEPTH_TO_SPACE',
    inputs: [S],
    outputs: [[1, 12, 12, 2]],
    options: { kind: 'DepthToSpaceOptions', blockSize: 2 },
  },
  {
    op: 'SPACE_TO_BATCH_ND',
    inputs: [S, batches, noCrops],
    outputs: [[4, 3, 3, 8]],
    options: { kind: 'SpaceToBatchNDOptions' },
  },
  {
    op: 'BATCH_TO_SPACE_ND',
    inputs: [[4, 3, 3, 8], batches, noCrops],
    outputs: [S],
    options: { kind: 'BatchToSpaceNDOptions' },
  },
  { op: 'REDUCE_MAX', ...reduce([1, 1, 1, 8]) },
  { op: 'REDUCE_MIN', ...reduce([1, 1, 1, 8]) },
  {
    op: 'TOPK_V2',
    inputs: [[2, 40], ints('k', [5], [])],
    outputs: [[2, 5], out('places', 'INT32', [2, 5])],
    options: { kind: 'TopKV2Options' },
  },
  {
    op: 'SCATTER_ND',
    inputs: [ints('places', [1, 3], [2, 1]), [2, 8], ints('shape', [4, 8])],
    outputs: [[4, 8]],
    options: { kind: 'ScatterNdOptions' },
  },
  {
    op: 'SHAPE',
    inputs: [S],
    outputs: [out('y', 'INT32', [4])],
    options: { kind: 'ShapeOptions', outType: 'INT32' },
  },
  { op: 'RANK', inputs: [S], outputs: [out('y', 'INT32', [])], options: { kind: 'RankOptions' } },
];

const JOINED: readonly SingleOp[] = [
  {
    op: 'CONCATENATION',
    inputs: [S, S, floatConstant('c', S)],
    outputs: [[1, 6, 6, 24]],
    options: { kind: 'ConcatenationOptions', axis: 3, ...noActivation },
  },
  {
    op: 'PACK',
    inputs: [S, S],
    outputs: [[2, ...S]],
    options: { kind: 'PackOptions', valuesCount: 2, axis: 0 },
  },
  { op: 'MAXIMUM', inputs: [S, S], options: { kind: 'MaximumMinimumOptions' } },
  { op: 'MINIMUM', inputs: [S, S], options: { kind: 'MaximumMinimumOptions' } },
  { op: 'SELECT', inputs: [condition, S, S], outputs: [S], options: { kind: 'SelectOptions' } },
  {
    op: 'SELECT_V2',
    inputs: [condition, S, S],
    outputs: [S],
    options: { kind: 'SelectV2Options' },
  },
  {
    op: 'PADV2',
    inputs: [S, pads, constant('by', Float32Array.of(0.25))],
    outputs: [padded],
    options: { kind: 'PadV2Options' },
  },
  {
    op: 'DYNAMIC_UPDATE_SLICE',
    inputs: [S, [1, 2, 6, 8], ints('at', [0, 1, 0, 0])],
    options: { kind: 'DynamicUpdateSliceOptions' },
  },
];

const RESCALING: readonly SingleOp[] = [
  {
    op: 'ADD',
    inputs: [S, S],
    options: { kind: 'AddOptions', ...noActivation, potScaleInt16: true },
  },
  {
    op: 'SUB',
    inputs: [S, S],
    options: { kind: 'SubOptions', ...noActivation, potScaleInt16: true },
  },
  { op: 'MUL', inputs: [S, S], options: { kind: 'MulOptions', ...noActivation } },
  { op: 'SQUARED_DIFFERENCE', inputs: [S, S], options: { kind: 'SquaredDifferenceOptions' } },
  { op: 'PRELU', inputs: [S, floatConstant('slopes', [1, 1, 8])] },
  { op: 'MEAN', ...reduce([1, 1, 1, 8]) },
  { op: 'SUM', ...reduce([1, 1, 1, 8]) },
  { op: 'ABS', inputs: [S], options: { kind: 'AbsOptions' } },
  { op: 'RELU', inputs: [S] },
  { op: 'RELU6', inputs: [S] },
  { op: 'RELU_N1_TO_1', inputs: [S] },
  { op: 'LEAKY_RELU', inputs: [S], options: { kind: 'LeakyReluOptions', alpha: 0.1 } },
  { op: 'HARD_SWISH', inputs: [S], options: { kind: 'HardSwishOptions' } },
  { op: 'ELU', inputs: [S] },
  { op: 'GELU', inputs: [S], options: { kind: 'GeluOptions', approximate: false } },
  { op: 'RSQRT', inputs: [S], positive: true },
  { op: 'LOGISTIC', inputs: [S] },
  { op: 'SOFTMAX', inputs: [S], options: { kind: 'SoftmaxOptions', beta: 1 } },
  { op: 'TANH', inputs: [S] },
  { op: 'L2_NORMALIZATION', inputs: [S], options: { kind: 'L2NormOptions', ...noActivation } },
  { op: 'LOG_SOFTMAX', inputs: [S], options: { kind: 'LogSoftmaxOptions' } },
  { op: 'ARG_MAX', ...argument('ArgMaxOptions') },
  { op: 'ARG_MIN', ...argument('ArgMinOptions') },
  compare('EQUAL', { kind: 'EqualOptions' }),
  compare('NOT_EQUAL', { kind: 'NotEqualOptions' }),
  compare('LESS', { kind: 'LessOptions' }),
  compare('LESS_EQUAL', { kind: 'LessEqualOptions' }),
  compare('GREATER', { kind: 'GreaterOptions' }),
  compare('GREATER_EQUAL', { kind: 'GreaterEqualOptions' }),
];

export const SINGLE_OPS: readonly SingleOp[] = [...WEIGHTED, ...LAYOUT, ...JOINED, ...RESCALING];

const isTensor = (one: readonly number[] | TfliteTensor): one is TfliteTensor => 'name' in one;

/** The model around one operator; its inputs are x0, x1, ... and its float outputs y0, y1, ... */
export function singleOpModel({
  op,
  inputs,
  outputs,
  options,
  version = 1,
}: SingleOp): TfliteModel {
  const made = outputs ?? [inputs.find((one) => !isTensor(one)) ?? []];
  const tensors = [
    ...inputs.map((one, i) => (isTensor(one) ? one : value(`x${i}`, one))),
    ...made.map((one, i) => (isTensor(one) ? one : value(`y${i}`, one))),
  ];
  const all = tensors.map((_, at) => at);
  const operator = makeOperator({
    op,
    version,
    inputs: all.slice(0, inputs.length),
    outputs: all.slice(inputs.length),
    options: options ?? null,
  });
  return tinyTflite({
    tensors,
    inputs: operator.inputs.filter((at) => !isTensor(inputs[at]!)),
    outputs: operator.outputs,
    operators: [operator],
  });
}

/** Feeds that fill the range of each input, so that int8 holds them as they are. */
export function singleOpFeeds({ inputs, positive = false }: SingleOp): Feeds {
  const next = randoms(11);
  return Object.fromEntries(
    inputs.flatMap((one, i) =>
      isTensor(one)
        ? []
        : [
            [
              `x${i}`,
              { dtype: 'float32', shape: one, data: gridValues(one, next, positive) },
            ] as const,
          ],
    ),
  );
}

/** Multiples of 1/128 in [-1, 127/128] with both ends, or of 1/256 in [4/256, 255/256]. */
function gridValues(shape: readonly number[], next: () => number, positive: boolean): Float32Array {
  const [lowest, count, unit] = positive ? [4, 252, 256] : [-128, 256, 128];
  const values = Float32Array.from({ length: sizeOf(shape) }, () =>
    Math.floor(((next() + 1) / 2) * count + lowest),
  );
  values[values.length - 1] = lowest;
  values[0] = lowest + count - 1;
  return values.map((one) => one / unit);
}
