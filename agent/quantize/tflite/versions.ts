import type { BuiltinOperator, TfliteOperator, TfliteTensor } from '../../model/tflite/types.ts';
import { optionsOf } from '../../model/tflite/types.ts';

/**
 * Versions of operators with float activations and 8-bit weights (tensorflow/lite/tools/versioning,
 * op_version.cc). A file with one that is too low is refused by no runtime and may compute nonsense
 * on an old one. Plain numbers hold whatever the weights look like.
 */
interface HybridVersions {
  /** With weights of one scale. */
  readonly plain: number;
  /** With `asymmetric_quantize_inputs`. */
  readonly asymmetric?: number;
  /** With a scale per channel. */
  readonly perChannel?: number;
}

const HYBRID = new Map<BuiltinOperator, HybridVersions>([
  ['CONV_2D', { plain: 2, perChannel: 5 }],
  ['DEPTHWISE_CONV_2D', { plain: 4, perChannel: 6 }],
  ['FULLY_CONNECTED', { plain: 3, asymmetric: 9, perChannel: 12 }],
  ['BATCH_MATMUL', { plain: 1, asymmetric: 4 }],
  ['EMBEDDING_LOOKUP', { plain: 3, perChannel: 4 }],
  ['SVDF', { plain: 2, asymmetric: 4 }],
  ['LSTM', { plain: 3, asymmetric: 4 }],
  ['UNIDIRECTIONAL_SEQUENCE_LSTM', { plain: 2, asymmetric: 3 }],
  ['BIDIRECTIONAL_SEQUENCE_LSTM', { plain: 2, asymmetric: 3 }],
  ['RNN', { plain: 2, asymmetric: 3 }],
  ['UNIDIRECTIONAL_SEQUENCE_RNN', { plain: 2, asymmetric: 3 }],
  ['BIDIRECTIONAL_SEQUENCE_RNN', { plain: 2, asymmetric: 3 }],
]);

/**
 * The version that an operator needs with these 8-bit weights; never below the one that it has, which
 * stands for what else it does.
 */
export function hybridVersion(operator: TfliteOperator, weights: TfliteTensor): number {
  const versions = HYBRID.get(operator.op);
  if (versions === undefined) return operator.version;
  const { plain, asymmetric = 1, perChannel = 1 } = versions;
  return Math.max(
    operator.version,
    plain,
    quantizesAsymmetrically(operator) ? asymmetric : 1,
    isPerChannel(weights) ? perChannel : 1,
  );
}

function quantizesAsymmetrically({ options }: TfliteOperator): boolean {
  return (
    options !== null && 'asymmetricQuantizeInputs' in options && options.asymmetricQuantizeInputs
  );
}

const isPerChannel = ({ quantization }: TfliteTensor) => (quantization?.scale.length ?? 0) > 1;

/** The version of a DEQUANTIZE that reads this. */
export function dequantizeVersion(stored: TfliteTensor): number {
  if (stored.type === 'INT4') return 6;
  if (stored.type === 'INT8') return isPerChannel(stored) ? 5 : 2;
  return stored.type === 'FLOAT16' || stored.type === 'INT16' ? 3 : 1;
}

/** The version of a GATHER from an int8 table. */
export function gatherVersion(operator: TfliteOperator): number {
  const batched = (optionsOf(operator, 'GatherOptions')?.batchDims ?? 0) !== 0;
  return Math.max(operator.version, batched ? 5 : 2);
}
