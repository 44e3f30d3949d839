/*
 * Which TFLite first knew a version of an operator, for messages. Facts from TensorFlow's own list
 * (tflite/tools/versioning/runtime_version.cc); what came with 2.5 or earlier is left out.
 */

type Versions = Readonly<Record<number, string>>;

const FIRST: Readonly<Record<string, Versions>> = {
  ABS: { 4: '2.6', 5: '2.12' },
  ADD: { 4: '2.6', 5: '2.13' },
  ARG_MAX: { 3: '2.9' },
  ARG_MIN: { 3: '2.9' },
  ASSIGN_VARIABLE: { 1: '2.6' },
  ATAN2: { 1: '2.10' },
  BATCH_TO_SPACE_ND: { 4: '2.12' },
  BITCAST: { 1: '2.13' },
  BITWISE_XOR: { 1: '2.13' },
  BROADCAST_ARGS: { 1: '2.6' },
  BUCKETIZE: { 1: '2.8' },
  CAST: { 2: '2.7', 3: '2.8', 4: '2.9', 5: '2.12', 6: '2.15', 7: '2.17' },
  CONCATENATION: { 4: '2.14' },
  CONV_2D: { 6: '2.9', 7: '2.11', 8: '2.15' },
  CONV_3D_TRANSPOSE: { 1: '2.6' },
  DEPTHWISE_CONV_2D: { 7: '2.11' },
  DEQUANTIZE: { 5: '2.7', 6: '2.18' },
  DILATE: { 1: '2.15' },
  DYNAMIC_UPDATE_SLICE: { 1: '2.9', 2: '2.17', 3: '2.19', 4: '2.20' },
  EMBEDDING_LOOKUP: { 4: '2.18' },
  EQUAL: { 4: '2.13' },
  EXP: { 2: '2.12' },
  FILL: { 4: '2.12' },
  FLOOR_DIV: { 3: '2.13' },
  FLOOR_MOD: { 2: '2.13' },
  FULLY_CONNECTED: { 10: '2.11', 11: '2.15', 12: '2.17', 13: '2.18' },
  GATHER: { 6: '2.13', 7: '2.15' },
  GATHER_ND: { 4: '2.13', 5: '2.16' },
  GELU: { 1: '2.9', 2: '2.9' },
  GREATER_EQUAL: { 3: '2.13' },
  LESS: { 3: '2.13' },
  LOG: { 2: '2.15' },
  MIRROR_PAD: { 3: '2.12' },
  MUL: { 5: '2.6', 6: '2.11', 7: '2.13' },
  MULTINOMIAL: { 1: '2.8' },
  PACK: { 4: '2.13' },
  PAD: { 4: '2.6' },
  PADV2: { 4: '2.6' },
  QUANTIZE: { 3: '2.7' },
  RANDOM_STANDARD_NORMAL: { 1: '2.8' },
  RANDOM_UNIFORM: { 1: '2.8' },
  RANGE: { 2: '2.14' },
  READ_VARIABLE: { 1: '2.6' },
  REDUCE_ALL: { 1: '2.6' },
  REDUCE_PROD: { 2: '2.6' },
  REDUCE_WINDOW: { 1: '2.15' },
  RELU_0_TO_1: { 1: '2.10' },
  RIGHT_SHIFT: { 1: '2.13' },
  RSQRT: { 3: '2.15' },
  SELECT: { 3: '2.12', 4: '2.12' },
  SELECT_V2: { 2: '2.12' },
  SIGN: { 1: '2.11', 2: '2.12' },
  SLICE: { 6: '2.14' },
  SPACE_TO_BATCH_ND: { 4: '2.12' },
  STABLEHLO_ADD: { 1: '2.16' },
  STABLEHLO_AND: { 1: '2.17' },
  STABLEHLO_CASE: { 1: '2.17' },
  STABLEHLO_CBRT: { 1: '2.17' },
  STABLEHLO_COMPOSITE: { 1: '2.17' },
  STABLEHLO_GATHER: { 1: '2.16' },
  STABLEHLO_MAXIMUM: { 1: '2.16' },
  STABLEHLO_MINIMUM: { 1: '2.16' },
  STABLEHLO_MULTIPLY: { 1: '2.16' },
  STABLEHLO_PAD: { 1: '2.16' },
  STABLEHLO_REDUCE_WINDOW: { 1: '2.16' },
  STABLEHLO_RNG_BIT_GENERATOR: { 1: '2.15' },
  STABLEHLO_SCATTER: { 1: '2.15' },
  STABLEHLO_SHIFT_LEFT: { 1: '2.17' },
  STRIDED_SLICE: { 6: '2.6', 7: '2.14', 8: '2.14' },
  TILE: { 3: '2.8' },
  TOPK_V2: { 3: '2.13' },
  TRANSPOSE: { 6: '2.12', 7: '2.15' },
  TRANSPOSE_CONV: { 4: '2.13', 5: '2.15' },
  UNIDIRECTIONAL_SEQUENCE_LSTM: { 4: '2.12' },
  UNSORTED_SEGMENT_MAX: { 1: '2.10' },
  UNSORTED_SEGMENT_MIN: { 1: '2.11' },
  UNSORTED_SEGMENT_PROD: { 1: '2.10' },
  UNSORTED_SEGMENT_SUM: { 1: '2.10' },
  VAR_HANDLE: { 1: '2.6' },
  WHERE: { 2: '2.8' },
};

/** Operators whose number TFLite 2.9 has no name for; the first is 152. */
const FIRST_UNNAMED = 152;
const UNNAMED =
  'RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE'.split(
    ' ',
  );

/** The name of an operator's number that TFLite reported because it has none for it. */
export function opName(code: number): string {
  return UNNAMED[code - FIRST_UNNAMED] ?? `number ${code}`;
}

/**
 * What a file needs that `loaded` (such as 2.9.0) cannot give: `op CONV_2D version 8 needs TFLite
 * 2.15 or later`.
 */
export function newerNeeded(op: string, version: number, loaded: string): string {
  const first = FIRST[op]?.[version];
  const needs =
    first === undefined || !isNewer(first, loaded)
      ? `a newer TFLite than ${loaded}`
      : `TFLite ${first} or later`;
  return `op ${op} version ${version} needs ${needs}, and ${loaded} is loaded`;
}

/** Whether TFLite `first` (such as 2.15) came after `loaded` (such as 2.9.0). */
export function isNewer(first: string, loaded: string): boolean {
  const [major = 0, minor = 0] = first.split('.').map(Number);
  const [loadedMajor = 0, loadedMinor = 0] = loaded.split('.').map(Number);
  return major === loadedMajor ? minor > loadedMinor : major > loadedMajor;
}
