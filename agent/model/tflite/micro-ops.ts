import { allOperators } from './calls.ts';
import { opName } from './graph.ts';
import type { TfliteModel } from './types.ts';

/*
 * Operators of TensorFlow Lite Micro (micro/micro_mutable_op_resolver.h), which a program has to name
 * one by one. Methods are called after the operator: ADD_N is AddAddN. Listed apart are those whose
 * name is spelled otherwise.
 */

const REGULAR = new Set(
  (
    'ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE BATCH_MATMUL BATCH_TO_SPACE_ND BROADCAST_ARGS BROADCAST_TO ' +
    'CALL_ONCE CAST CEIL CONCATENATION COS DEPTH_TO_SPACE DEQUANTIZE DIV ELU EMBEDDING_LOOKUP EQUAL EXP EXPAND_DIMS ' +
    'FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER GREATER_EQUAL HARD_SWISH IF ' +
    'L2_NORMALIZATION LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX ' +
    'MAXIMUM MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD PRELU QUANTIZE READ_VARIABLE REDUCE_MAX REDUCE_MIN ' +
    'RELU RELU6 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT SHAPE SIN SLICE SOFTMAX ' +
    'SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM ' +
    'SVDF TANH TRANSPOSE TRANSPOSE_CONV UNPACK VAR_HANDLE WHILE ZEROS_LIKE'
  ).split(' '),
);

const IRREGULAR: ReadonlyMap<string, string> = new Map([
  ['AVERAGE_POOL_2D', 'AddAveragePool2D'],
  ['CONV_2D', 'AddConv2D'],
  ['CUMSUM', 'AddCumSum'],
  ['DEPTHWISE_CONV_2D', 'AddDepthwiseConv2D'],
  ['L2_POOL_2D', 'AddL2Pool2D'],
  ['MAX_POOL_2D', 'AddMaxPool2D'],
  ['PADV2', 'AddPadV2'],
  ['SELECT_V2', 'AddSelectV2'],
  ['UNIDIRECTIONAL_SEQUENCE_LSTM', 'AddUnidirectionalSequenceLSTM'],
  // Custom ones that the library brings along.
  ['CIRCULAR_BUFFER', 'AddCircularBuffer'],
  ['TFLite_Detection_PostProcess', 'AddDetectionPostprocess'],
  ['ethos-u', 'AddEthosU'],
]);

export interface MicroOps {
  /** Methods of MicroMutableOpResolver to call, in alphabetical order. */
  readonly calls: readonly string[];
  /** Operators that TensorFlow Lite Micro has no kernel for. */
  readonly missing: readonly string[];
}

export function microOps(model: TfliteModel): MicroOps {
  const names = new Set([...allOperators(model)].map(({ operator }) => opName(operator)));
  const calls = [...names].flatMap((name) => callOf(name) ?? []);
  const missing = [...names].filter((name) => callOf(name) === undefined);
  return { calls: calls.toSorted(), missing: missing.toSorted() };
}

function callOf(op: string): string | undefined {
  if (!REGULAR.has(op)) return IRREGULAR.get(op);
  const words = op.toLowerCase().split('_');
  return `Add${words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')}`;
}
