import type { Scheme } from '../../contracts/scheme.ts';
import { compact } from '../../model/tflite/compact.ts';
import { opName, operatorLabels } from '../../model/tflite/graph.ts';
import { makeQuantization } from '../../model/tflite/types.ts';
import type { TfliteModel, TfliteOperator, TfliteTensor } from '../../model/tflite/types.ts';
import type { WeightInput } from '../../model/tflite/weight-inputs.ts';
import { QuantizeError } from '../errors.ts';
import type { OpReport, Quantized } from '../report.ts';
import { DynamicDense } from './dynamic-dense.ts';
import { MIN_ELEMENTS, hybridWeights, withAsymmetricInputs } from './hybrid-ops.ts';
import { EXCLUDED, exclusion } from './left-out.ts';
import { operatorVersion } from './op-versions.ts';
import { refuseQuantized } from './recognize.ts';
import { GraphRewrite, MadeOnce, dequantize } from './rewrite.ts';
import { toInt8, toUnevenInt8 } from './symmetric.ts';

/**
 * Dynamic-range INT8: int8 weights, and activations that TFLite's hybrid kernels quantize while the
 * model runs. Biases, inputs and outputs stay float. Expects a prepared model.
 *
 * XNNPACK of TFLite 2.9 takes none of these operators: they run on TFLite's own kernels. On an x86 CPU
 * small matrix products and LSTMs took as long as in float or twice as long, and convolutions five to
 * eight times as long, so whether it pays is for a measurement to tell. Newer libraries have such
 * products and convolutions in XNNPACK.
 */
export function quantizeDynamic(model: TfliteModel, scheme: Scheme): Quantized<TfliteModel> {
  refuseQuantized(model);
  const labels = operatorLabels(model);
  const made = new MadeOnce();
  const ops: OpReport[] = [];
  let changed = 0;
  const rewrites = model.subgraphs.map((graph) => {
    const rewrite = new GraphRewrite(graph, made);
    const dense = new DynamicDense(rewrite);
    const isExcluded = exclusion(scheme, graph, labels);
    for (const operator of graph.operators) {
      const node = labels.get(operator) ?? '';
      const found = isExcluded(operator) ? EXCLUDED : hybridWeights(graph, operator);
      const row = { node, op: opName(operator) };
      if (typeof found === 'string') ops.push({ ...row, precision: 'float', reason: found });
      else ops.push({ ...row, precision: 'integer' });
      if (typeof found === 'string' || found.length === 0) continue;
      changed += 1;
      convert(rewrite, operator, found, { perChannel: scheme.perChannel, dense });
    }
    return rewrite;
  });
  if (changed === 0) throw new QuantizeError('NOTHING_TO_QUANTIZE', NOTHING);
  rewrites.forEach((rewrite) => shareAll(rewrite, made));
  const subgraphs = rewrites.map((rewrite) => rewrite.finish());
  return { model: compact({ ...model, subgraphs }), ops };
}

const NOTHING = `no convolution, matrix product, LSTM or table with ${MIN_ELEMENTS} weights or more: nothing to quantize dynamically`;

interface Grain {
  readonly perChannel: boolean;
  readonly dense: DynamicDense;
}

function convert(
  rewrite: GraphRewrite,
  operator: TfliteOperator,
  weights: readonly WeightInput[],
  grain: Grain,
): void {
  if (operator.op === 'FULLY_CONNECTED' && grain.perChannel) {
    const written = grain.dense.written(operator);
    if (written !== undefined) return rewrite.replace(operator, ...written);
  }
  const stored = new Map(
    weights.map(({ position, axis }) => {
      const channels = channelsOf(operator, grain.perChannel) ? axis : null;
      const index = operator.inputs[position] ?? -1;
      const form = channels === null ? PER_TENSOR : `int8 along ${channels}`;
      const made = (tensor: TfliteTensor) =>
        channels === null ? toInt8(tensor, null) : toUnevenInt8(tensor, channels);
      return [position, rewrite.store(index, form, made)] as const;
    }),
  );
  const inputs = operator.inputs.map((index, position) => stored.get(position) ?? index);
  if (operator.op === 'GATHER') {
    gatherStored(rewrite, operator, inputs);
    return;
  }
  const changed = withAsymmetricInputs({ ...operator, inputs });
  rewrite.replace(operator, { ...changed, version: versionIn(rewrite, changed) });
}

const PER_TENSOR = 'int8';

/** The hybrid kernel of depthwise convolutions knows no other weights than per channel. */
function channelsOf({ op }: TfliteOperator, perChannel: boolean): boolean {
  if (op === 'DEPTHWISE_CONV_2D') return true;
  return op === 'CONV_2D' && perChannel;
}

/** Gathers 8-bit values, and decodes what was gathered: the table stays small in memory, too. */
function gatherStored(
  rewrite: GraphRewrite,
  operator: TfliteOperator,
  inputs: readonly number[],
): void {
  const table = rewrite.tensor(inputs[0] ?? -1);
  const output = operator.outputs[0] ?? -1;
  const float = rewrite.tensor(output);
  const { scale = [], zeroPoint = [] } = table.quantization ?? {};
  const gathered: TfliteTensor = {
    ...float,
    name: rewrite.name(`${float.name}_int8`),
    type: table.type,
    quantization: makeQuantization(scale, zeroPoint),
  };
  const index = rewrite.add(gathered);
  const changed = { ...operator, inputs, outputs: [index] };
  rewrite.replace(
    operator,
    { ...changed, version: versionIn(rewrite, changed) },
    dequantize(gathered, index, output),
  );
}

function versionIn(rewrite: GraphRewrite, operator: TfliteOperator): number {
  return operatorVersion(operator, (at) => (at < 0 ? undefined : rewrite.tensor(at)));
}

/** Other tensors of the same bytes would keep the floats in the file: they are stored alike. */
function shareAll(rewrite: GraphRewrite, made: MadeOnce): void {
  rewrite.graph.tensors.forEach((tensor, index) => {
    const form = tensor.type === 'FLOAT32' ? made.known(tensor) : undefined;
    if (form === undefined) return;
    // It is made already.
    rewrite.store(index, form, (known) => known);
  });
}
