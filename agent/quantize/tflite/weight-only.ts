import type { Scheme } from '../../contracts/scheme.ts';
import { compact } from '../../model/tflite/compact.ts';
import { inputTensor, opName, operatorLabels } from '../../model/tflite/graph.ts';
import { isQuantized } from '../../model/tflite/numeric-kind.ts';
import { elementCount, isConstant } from '../../model/tflite/tensor.ts';
import type { TfliteModel, TfliteOperator, TfliteTensor } from '../../model/tflite/types.ts';
import { weightInputs } from '../../model/tflite/weight-inputs.ts';
import type { WeightInput } from '../../model/tflite/weight-inputs.ts';
import { QuantizeError } from '../errors.ts';
import type { OpReport, Quantized } from '../report.ts';
import { MIN_ELEMENTS, NOT_FINITE } from './hybrid-ops.ts';
import { EXCLUDED, exclusion } from './left-out.ts';
import { refuseQuantized } from './recognize.ts';
import { GraphRewrite, MadeOnce } from './rewrite.ts';
import { hasFiniteValues, toInt8 } from './symmetric.ts';

/**
 * Weights stored as int8 with a scale per channel, and a DEQUANTIZE before who computes with them:
 * the file is a quarter, the arithmetic stays float, and memory holds the floats again once the model
 * is loaded. Expects a prepared model.
 * @throws QuantizeError for 4-bit weights, and when nothing is worth storing so
 */
export function quantizeWeights(model: TfliteModel, scheme: Scheme): Quantized<TfliteModel> {
  refuseQuantized(model);
  if (scheme.weights === 's4') {
    const why = 'TFLite before 2.18 cannot make floats of 4-bit weights';
    throw new QuantizeError('NOT_CONVERTIBLE', `no 4-bit weights: ${why}; use --to weight-int8`);
  }
  const labels = operatorLabels(model);
  const made = new MadeOnce();
  const ops: OpReport[] = [];
  let stored = 0;
  const subgraphs = model.subgraphs.map((graph) => {
    const rewrite = new GraphRewrite(graph, made);
    const isExcluded = exclusion(scheme, graph, labels);
    for (const operator of graph.operators) {
      const node = labels.get(operator) ?? '';
      const weights = isExcluded(operator) ? EXCLUDED : judge(rewrite, operator);
      const isStored = typeof weights !== 'string';
      if (isStored) {
        stored += 1;
        for (const weight of weights) storeWeight(rewrite, operator, weight, scheme.perChannel);
      }
      const reason = isStored ? 'computes in float, with weights in 8 bits' : weights;
      ops.push({ node, op: opName(operator), precision: 'float', reason });
    }
    return rewrite.finish();
  });
  if (stored === 0) {
    throw new QuantizeError('NOTHING_TO_QUANTIZE', `no weights of ${MIN_ELEMENTS} values or more`);
  }
  return { model: compact({ ...model, subgraphs }), ops };
}

function storeWeight(
  rewrite: GraphRewrite,
  operator: TfliteOperator,
  { position, axis }: WeightInput,
  perChannel: boolean,
): void {
  const channels = perChannel ? axis : null;
  const form = channels === null ? 'int8' : `int8 along ${channels}`;
  rewrite.store(operator.inputs[position] ?? -1, form, (tensor) => toInt8(tensor, channels));
}

/** The weights to store, or why there are none. */
function judge({ graph }: GraphRewrite, operator: TfliteOperator): readonly WeightInput[] | string {
  const all = weightInputs(graph, operator).flatMap((one) => {
    const tensor = inputTensor(graph, operator, one.position);
    return tensor === undefined ? [] : [{ ...one, tensor }];
  });
  if (all.some(({ tensor }) => isQuantized(tensor))) return 'has weights in 8 bits already';
  const worth = all.filter(({ tensor }) => isWorth(tensor));
  if (worth.length === 0) return 'has no weights worth storing in 8 bits';
  return worth.every(({ tensor }) => hasFiniteValues(tensor)) ? worth : NOT_FINITE;
}

/** A vector has as many values as channels: its scales would take four times what it saves. */
function isWorth(tensor: TfliteTensor): boolean {
  const { type, shape, data, sparsity } = tensor;
  if (type !== 'FLOAT32' || data === null || sparsity !== undefined) return false;
  return isConstant(tensor) && shape.length > 1 && elementCount(shape) >= MIN_ELEMENTS;
}
