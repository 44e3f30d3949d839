import { describe, expect, test } from '@jest/globals';
import { makeOperator, makeQuantization, makeTensor } from '../../../agent/model/tflite/types.ts';
import type {
  BuiltinOperator,
  OperatorOptions,
  TensorType,
} from '../../../agent/model/tflite/types.ts';
import { operatorVersion } from '../../../agent/quantize/tflite/op-versions.ts';

interface Given {
  readonly type: TensorType;
  readonly shape?: readonly number[];
  /** One scale unless told; none for floats. */
  readonly scales?: readonly number[];
}

interface Case {
  readonly op: BuiltinOperator;
  /** null: left out. */
  readonly inputs: readonly (Given | null)[];
  readonly output: Given;
  readonly options?: OperatorOptions;
  readonly version?: number;
}

function versionOf({ op, inputs, output, options, version = 1 }: Case): number {
  const given = [...inputs, output];
  const tensors = given.flatMap((one, index) => {
    if (one === null) return [];
    const { type, shape = [1, 4, 4, 4], scales } = one;
    const plain = type.startsWith('FLOAT') || type === 'BOOL' ? [] : [0.5];
    const quantization = makeQuantization(
      scales ?? plain,
      (scales ?? plain).map(() => 0),
    );
    return [makeTensor({ name: `t${index}`, type, shape, quantization })];
  });
  let next = 0;
  const indices = given.map((one) => (one === null ? -1 : next++));
  const operator = makeOperator({
    op,
    version,
    inputs: indices.slice(0, -1),
    outputs: indices.slice(-1),
    options: options ?? null,
  });
  return operatorVersion(operator, (at) => tensors[at]);
}

const f32: Given = { type: 'FLOAT32' };
const s8: Given = { type: 'INT8' };
const s16: Given = { type: 'INT16' };
const s4: Given = { type: 'INT4' };
const s32: Given = { type: 'INT32', scales: [] };
const bool: Given = { type: 'BOOL' };
const perChannel: Given = { type: 'INT8', scales: [1, 2, 3, 4] };
const of = (type: TensorType, rank: number): Given => ({
  type,
  shape: Array.from({ length: rank }, () => 2),
});

const conv = (quantizedBiasType: TensorType = 'FLOAT32') =>
  ({
    kind: 'Conv2DOptions',
    padding: 'SAME',
    strideW: 1,
    strideH: 1,
    fusedActivationFunction: 'NONE',
    dilationWFactor: 1,
    dilationHFactor: 1,
    quantizedBiasType,
  }) as const;
const depthwise = (dilation = 1) =>
  ({
    kind: 'DepthwiseConv2DOptions',
    padding: 'SAME',
    strideW: 1,
    strideH: 1,
    depthMultiplier: 1,
    fusedActivationFunction: 'NONE',
    dilationWFactor: dilation,
    dilationHFactor: 1,
  }) as const;
const dense = (fields: { keep?: boolean; asymmetric?: boolean; bias?: TensorType } = {}) =>
  ({
    kind: 'FullyConnectedOptions',
    fusedActivationFunction: 'NONE',
    weightsFormat: 'DEFAULT',
    keepNumDims: fields.keep ?? false,
    asymmetricQuantizeInputs: fields.asymmetric ?? false,
    quantizedBiasType: fields.bias ?? 'FLOAT32',
  }) as const;
const transposed = (
  activation: 'NONE' | 'RELU' = 'NONE',
  quantizedBiasType: TensorType = 'FLOAT32',
) =>
  ({
    kind: 'TransposeConvOptions',
    padding: 'SAME',
    strideW: 1,
    strideH: 1,
    fusedActivationFunction: activation,
    quantizedBiasType,
  }) as const;
const matMul = (asymmetricQuantizeInputs: boolean) =>
  ({ kind: 'BatchMatMulOptions', adjX: false, adjY: false, asymmetricQuantizeInputs }) as const;
const lstm = (asymmetricQuantizeInputs: boolean) =>
  ({
    kind: 'LSTMOptions',
    fusedActivationFunction: 'TANH',
    cellClip: 0,
    projClip: 0,
    kernelType: 'FULL',
    asymmetricQuantizeInputs,
  }) as const;
const sequence = (asymmetricQuantizeInputs: boolean) =>
  ({
    kind: 'UnidirectionalSequenceLSTMOptions',
    fusedActivationFunction: 'TANH',
    cellClip: 0,
    projClip: 0,
    timeMajor: false,
    asymmetricQuantizeInputs,
    diagonalRecurrentTensors: false,
  }) as const;
const svdf = (asymmetricQuantizeInputs: boolean) =>
  ({
    kind: 'SVDFOptions',
    rank: 1,
    fusedActivationFunction: 'NONE',
    asymmetricQuantizeInputs,
  }) as const;
const resize = (halfPixelCenters: boolean, alignCorners = false) =>
  ({ kind: 'ResizeNearestNeighborOptions', halfPixelCenters, alignCorners }) as const;
const slice = (newAxisMask: number) =>
  ({
    kind: 'StridedSliceOptions',
    beginMask: 0,
    endMask: 0,
    ellipsisMask: 0,
    newAxisMask,
    shrinkAxisMask: 0,
    offset: false,
  }) as const;
const gather = (batchDims: number) => ({ kind: 'GatherOptions', axis: 0, batchDims }) as const;

type Row = readonly [name: string, version: number, given: Omit<Case, 'op'>];

function check(op: BuiltinOperator, rows: readonly Row[]): void {
  test.each(rows)(`${op} %s: %d`, (_, version, given) => {
    expect(versionOf({ op, ...given })).toBe(version);
  });
}

check('CONV_2D', [
  ['float', 1, { inputs: [f32, f32, f32], output: f32, options: conv() }],
  ['hybrid', 2, { inputs: [f32, s8, f32], output: f32, options: conv() }],
  ['int8', 3, { inputs: [s8, perChannel, s32], output: s8, options: conv() }],
  ['int16x8', 4, { inputs: [s16, perChannel, s32], output: s16, options: conv() }],
  ['hybrid per channel', 5, { inputs: [f32, perChannel, f32], output: f32, options: conv() }],
  [
    'grouped',
    6,
    { inputs: [s8, { ...perChannel, shape: [4, 1, 1, 2] }, s32], output: s8, options: conv() },
  ],
  ['int4 weights', 7, { inputs: [s8, s4, s32], output: s8, options: conv() }],
  ['int4 weights beside floats', 7, { inputs: [f32, s4, f32], output: f32, options: conv() }],
  ['int16x8, told bias', 8, { inputs: [s16, s8, s32], output: s16, options: conv('INT32') }],
]);

check('DEPTHWISE_CONV_2D', [
  ['float', 1, { inputs: [f32, f32, f32], output: f32, options: depthwise() }],
  ['dilated', 2, { inputs: [f32, f32, f32], output: f32, options: depthwise(2) }],
  ['int8', 3, { inputs: [s8, perChannel, s32], output: s8, options: depthwise() }],
  ['hybrid', 4, { inputs: [f32, s8, f32], output: f32, options: depthwise() }],
  ['int16x8', 5, { inputs: [s16, perChannel, s32], output: s16, options: depthwise() }],
  ['hybrid per channel', 6, { inputs: [f32, perChannel, f32], output: f32, options: depthwise() }],
  ['int4 weights', 7, { inputs: [s8, s4, s32], output: s8, options: depthwise() }],
]);

check('FULLY_CONNECTED', [
  ['float', 1, { inputs: [f32, f32, f32], output: f32, options: dense() }],
  ['hybrid', 3, { inputs: [f32, s8, f32], output: f32, options: dense() }],
  ['int8', 4, { inputs: [s8, s8, s32], output: s8, options: dense() }],
  [
    'int8, dimensions kept',
    5,
    { inputs: [s8, s8, s32], output: s8, options: dense({ keep: true }) },
  ],
  ['int8 without bias', 6, { inputs: [s8, s8, null], output: s8, options: dense() }],
  ['int16x8', 7, { inputs: [s16, s8, s32], output: s16, options: dense() }],
  [
    'hybrid, asymmetric',
    9,
    { inputs: [f32, s8, f32], output: f32, options: dense({ asymmetric: true }) },
  ],
  ['int8 by int4', 10, { inputs: [s8, s4, s32], output: s8, options: dense() }],
  [
    'int16x8, told bias',
    11,
    { inputs: [s16, s8, s32], output: s16, options: dense({ bias: 'INT32' }) },
  ],
  ['hybrid per channel', 12, { inputs: [f32, perChannel, f32], output: f32, options: dense() }],
  ['int16 by int4', 13, { inputs: [s16, s4, s32], output: s16, options: dense() }],
  ['int2 weights', 14, { inputs: [s8, { type: 'INT2' }, s32], output: s8, options: dense() }],
  ['what it had', 8, { inputs: [f32, f32, f32], output: f32, options: dense(), version: 8 }],
]);

check('BATCH_MATMUL', [
  ['float', 1, { inputs: [f32, f32], output: f32, options: matMul(false) }],
  ['int8', 2, { inputs: [s8, s8], output: s8, options: matMul(false) }],
  ['int16', 3, { inputs: [s16, s16], output: s16, options: matMul(false) }],
  ['hybrid', 1, { inputs: [f32, s8], output: f32, options: matMul(false) }],
  ['hybrid, asymmetric', 4, { inputs: [f32, s8], output: f32, options: matMul(true) }],
]);

check('TRANSPOSE_CONV', [
  ['int8', 2, { inputs: [s32, s8, s8], output: s8, options: transposed() }],
  ['int8 with bias', 3, { inputs: [s32, s8, s8, s32], output: s8, options: transposed() }],
  ['int8 with activation', 4, { inputs: [s32, s8, s8], output: s8, options: transposed('RELU') }],
  [
    'int16x8, told bias',
    5,
    { inputs: [s32, s8, s16, s32], output: s16, options: transposed('NONE', 'INT32') },
  ],
]);

check('EMBEDDING_LOOKUP', [
  ['int8', 3, { inputs: [s32, s8], output: f32 }],
  ['int8 per channel', 4, { inputs: [s32, perChannel], output: f32 }],
  ['int4', 4, { inputs: [s32, s4], output: f32 }],
  ['int2', 5, { inputs: [s32, { type: 'INT2' }], output: f32 }],
]);

check('ADD', [
  ['float', 1, { inputs: [f32, f32], output: f32 }],
  ['int8', 2, { inputs: [s8, s8], output: s8 }],
  ['int16', 3, { inputs: [s16, s16], output: s16 }],
]);
check('SUB', [
  ['int8', 2, { inputs: [s8, s8], output: s8 }],
  ['int16', 5, { inputs: [s16, s16], output: s16 }],
]);
check('MUL', [
  ['int8', 2, { inputs: [s8, s8], output: s8 }],
  ['int8 up', 3, { inputs: [s8, s8], output: { ...s8, scales: [0.25] } }],
  ['int16', 4, { inputs: [s16, s16], output: s16 }],
]);

const UNARY: readonly BuiltinOperator[] = [
  'AVERAGE_POOL_2D',
  'MAX_POOL_2D',
  'SOFTMAX',
  'TANH',
  'LOGISTIC',
  'RELU',
  'RELU6',
  'MEAN',
  'MIRROR_PAD',
  'REDUCE_MAX',
  'REDUCE_MIN',
  'RSQRT',
  'PACK',
];
describe.each([...UNARY, 'CONCATENATION', 'PAD', 'PADV2'] as const)('%s', (op) => {
  test.each([
    ['float', 1, f32],
    ['int8', 2, s8],
    ['int16', 3, s16],
  ] as const)('%s: %d', (_, version, one) => {
    expect(versionOf({ op, inputs: [one], output: one })).toBe(version);
  });
});

describe.each(['CONCATENATION', 'PAD', 'PADV2'] as const)('%s', (op) => {
  test('more than four axes: 4', () => {
    const one = of('INT8', 5);
    expect(versionOf({ op, inputs: [one], output: one })).toBe(4);
  });
});

describe.each(['MAXIMUM', 'MINIMUM', 'SPLIT', 'UNPACK'] as const)('%s', (op) => {
  test.each([
    ['int8', 2, s8],
    ['int16', 4, s16],
  ] as const)('%s: %d', (_, version, one) => {
    expect(versionOf({ op, inputs: [one, one], output: one })).toBe(version);
  });
});

describe.each(['RESIZE_BILINEAR', 'RESIZE_NEAREST_NEIGHBOR'] as const)('%s', (op) => {
  test.each([
    ['float', 1, f32, resize(false)],
    ['int8', 2, s8, resize(false)],
    ['int8 half pixels', 3, s8, resize(true)],
    ['int8 corners aligned', 3, s8, resize(false, true)],
    ['int16', 4, s16, resize(false)],
  ] as const)('%s: %d', (_, version, one, options) => {
    expect(versionOf({ op, inputs: [one, s32], output: one, options })).toBe(version);
  });
});

check('LSTM', [
  ['float', 1, { inputs: [f32, f32, f32], output: f32, options: lstm(false) }],
  ['hybrid', 3, { inputs: [f32, s8, s8], output: f32, options: lstm(false) }],
  ['hybrid, asymmetric', 4, { inputs: [f32, s8, s8], output: f32, options: lstm(true) }],
  ['int16x8', 5, { inputs: [s16, s8, s8], output: s16, options: lstm(false) }],
]);
check('UNIDIRECTIONAL_SEQUENCE_LSTM', [
  ['hybrid', 2, { inputs: [f32, null, s8], output: f32, options: sequence(false) }],
  ['hybrid, asymmetric', 3, { inputs: [f32, null, s8], output: f32, options: sequence(true) }],
  ['int16x8', 5, { inputs: [s16, null, s8], output: s16, options: sequence(false) }],
]);
check('SVDF', [
  ['int8', 3, { inputs: [s8, s8], output: s8, options: svdf(false) }],
  ['hybrid', 2, { inputs: [f32, s8], output: f32, options: svdf(false) }],
  ['hybrid, asymmetric', 4, { inputs: [f32, s8], output: f32, options: svdf(true) }],
]);

const RECURRENT: readonly BuiltinOperator[] = [
  'RNN',
  'UNIDIRECTIONAL_SEQUENCE_RNN',
  'BIDIRECTIONAL_SEQUENCE_RNN',
  'BIDIRECTIONAL_SEQUENCE_LSTM',
];
describe.each(RECURRENT)('%s', (op) => {
  test.each([
    ['hybrid', 2, false],
    ['hybrid, asymmetric', 3, true],
  ] as const)('%s: %d', (_, version, asymmetric) => {
    const options = {
      kind: 'RNNOptions',
      fusedActivationFunction: 'TANH',
      asymmetricQuantizeInputs: asymmetric,
    } as const;
    expect(versionOf({ op, inputs: [f32, s8], output: f32, options })).toBe(version);
  });
});

check('QUANTIZE', [
  ['int8', 1, { inputs: [f32], output: s8 }],
  ['int8 to int8', 1, { inputs: [s8], output: s8 }],
  ['int16', 2, { inputs: [f32], output: s16 }],
  ['per channel', 3, { inputs: [f32], output: perChannel }],
  ['int4', 4, { inputs: [f32], output: s4 }],
]);
check('DEQUANTIZE', [
  ['uint8', 1, { inputs: [{ type: 'UINT8' }], output: f32 }],
  ['int8', 2, { inputs: [s8], output: f32 }],
  ['float16', 3, { inputs: [{ type: 'FLOAT16' }], output: f32 }],
  ['int16', 3, { inputs: [s16], output: f32 }],
  ['per channel', 5, { inputs: [perChannel], output: f32 }],
  ['int4', 6, { inputs: [s4], output: f32 }],
  ['int2', 7, { inputs: [{ type: 'INT2' }], output: f32 }],
]);

check('TRANSPOSE', [
  ['int8', 2, { inputs: [s8], output: s8 }],
  ['five axes', 4, { inputs: [of('INT8', 5)], output: of('INT8', 5) }],
  ['int16', 5, { inputs: [s16], output: s16 }],
  ['six axes', 6, { inputs: [of('INT8', 6)], output: of('INT8', 6) }],
]);
check('SLICE', [
  ['int8', 2, { inputs: [s8], output: s8 }],
  ['int16', 4, { inputs: [s16], output: s16 }],
  ['five axes', 5, { inputs: [of('INT8', 5)], output: of('INT8', 5) }],
]);
check('STRIDED_SLICE', [
  ['int8', 2, { inputs: [s8], output: s8, options: slice(0) }],
  ['five axes', 4, { inputs: [of('INT8', 5)], output: of('INT8', 5), options: slice(0) }],
  ['a new axis', 6, { inputs: [s8], output: s8, options: slice(1) }],
]);
check('GATHER', [
  ['int8', 2, { inputs: [s8, s32], output: s8, options: gather(0) }],
  ['int16', 4, { inputs: [s16, s32], output: s16, options: gather(0) }],
  ['batches', 5, { inputs: [s8, s32], output: s8, options: gather(1) }],
]);
describe.each(['SPACE_TO_BATCH_ND', 'BATCH_TO_SPACE_ND'] as const)('%s', (op) => {
  test.each([
    ['int8', 2, s8],
    ['three axes', 3, of('INT8', 3)],
    ['int16', 4, s16],
  ] as const)('%s: %d', (_, version, one) => {
    expect(versionOf({ op, inputs: [one], output: one })).toBe(version);
  });
});

const SECOND: readonly BuiltinOperator[] = [
  'SPLIT_V',
  'SPACE_TO_DEPTH',
  'DEPTH_TO_SPACE',
  'L2_NORMALIZATION',
  'LOG_SOFTMAX',
  'SUM',
  'SQUARED_DIFFERENCE',
  'TOPK_V2',
  'GELU',
  'EXP',
  'LOG',
  'SQRT',
  'REDUCE_PROD',
  'ABS',
  'SELECT',
];
test.each(SECOND)('%s in int8: 2', (op) => {
  expect(versionOf({ op, inputs: [s8, s8], output: s8 })).toBe(2);
});
test.each(['ARG_MAX', 'ARG_MIN', 'LESS_EQUAL', 'GREATER'] as const)('%s of int8: 2', (op) => {
  expect(versionOf({ op, inputs: [s8, s8], output: bool })).toBe(2);
});
test.each(['EXP', 'LOG', 'SQRT', 'REDUCE_PROD'] as const)('%s in int16: 2', (op) => {
  expect(versionOf({ op, inputs: [s16], output: s16 })).toBe(2);
});
test.each([
  ['EQUAL', 5],
  ['NOT_EQUAL', 4],
  ['LESS', 3],
  ['GREATER_EQUAL', 3],
] as const)('%s of int16: %d', (op, version) => {
  expect(versionOf({ op, inputs: [s8, s8], output: bool })).toBe(2);
  expect(versionOf({ op, inputs: [s16, s16], output: bool })).toBe(version);
});
test.each(['TILE', 'REVERSE_V2', 'BROADCAST_TO'] as const)('%s in int8: 3', (op) => {
  expect(versionOf({ op, inputs: [s8, s32], output: s8 })).toBe(3);
});
test('FILL with int8: 3', () => {
  expect(versionOf({ op: 'FILL', inputs: [s32, s8], output: s8 })).toBe(3);
});

const FIRST: readonly BuiltinOperator[] = [
  'RESHAPE',
  'SQUEEZE',
  'EXPAND_DIMS',
  'HARD_SWISH',
  'PRELU',
  'DIV',
  'SELECT_V2',
  'LEAKY_RELU',
  'GATHER_ND',
];
test.each(FIRST)('%s in int8: 1', (op) => {
  expect(versionOf({ op, inputs: [s8, s8], output: s8 })).toBe(1);
});
test('LEAKY_RELU in int16: 2, GATHER_ND in int16: 3', () => {
  expect(versionOf({ op: 'LEAKY_RELU', inputs: [s16], output: s16 })).toBe(2);
  expect(versionOf({ op: 'GATHER_ND', inputs: [s16, s32], output: s16 })).toBe(3);
});
