import type { Scheme } from '../../contracts/scheme.ts';
import type { Statistics } from '../../model/statistics.ts';
import { compact } from '../../model/tflite/compact.ts';
import { replaceInterface } from '../../model/tflite/edit.ts';
import { indexGraph, opName, operatorLabels, withSubgraph } from '../../model/tflite/graph.ts';
import { describeTensor } from '../../model/tflite/tensor.ts';
import type { TfliteModel, TfliteOperator } from '../../model/tflite/types.ts';
import { uniqueTensorNames } from '../../model/tflite/tensor-names.ts';
import { QuantizeError } from '../errors.ts';
import { isExcluded } from '../excluded.ts';
import type { OpReport, Quantized } from '../report.ts';
import { fuseActivations } from './fuse-activations.ts';
import type { Fused } from './fuse-activations.ts';
import { quantizedTensor } from './already-quantized.ts';
import { planStatic } from './static-plan.ts';
import type { StaticPlan } from './static-plan.ts';
import { StaticWriter } from './static-writer.ts';
import {
  dataPositions,
  interfaceOf,
  isFloatActivation,
  isWithoutFloats,
  namedOperator,
  ruleOf,
} from './units.ts';

/**
 * Names of the float activations of the first subgraph whose ranges `quantizeStatic` may ask for.
 * Nothing outside sees into subgraphs that control flow calls: they stay in float.
 */
export function tensorsToObserve(model: TfliteModel): readonly string[] {
  const [graph] = model.subgraphs;
  if (graph === undefined) return [];
  const given = { graph, index: indexGraph(graph) };
  const names = uniqueTensorNames(graph);
  const wanted = new Set<number>();
  for (const operator of graph.operators) {
    const rule = ruleOf(given, operator);
    if (rule === undefined) continue;
    const data = dataPositions(operator, rule).map((position) => operator.inputs[position] ?? -1);
    for (const at of [...data, ...operator.outputs]) {
      if (isFloatActivation(given, at)) wanted.add(at);
    }
  }
  return [...wanted].map((at) => names[at] ?? '');
}

/**
 * Full-integer quantization: int8 (or int16) activations, int8 weights, biases at scale input *
 * weight, QUANTIZE and DEQUANTIZE where integers end.
 * @param model prepared: constants are FLOAT32, and there is no FAKE_QUANT
 * @param statistics by the names of `uniqueTensorNames`; channelMean along the last axis
 * @throws QuantizeError when it is quantized already, when nothing in it can be, or when not all of
 *   it can and the scheme asks for integers only
 */
export function quantizeStatic(
  model: TfliteModel,
  statistics: Statistics,
  scheme: Scheme,
): Quantized<TfliteModel> {
  const [graph] = model.subgraphs;
  if (graph === undefined) throw nothing('it has no graph');
  checkScheme(scheme);
  const stored = quantizedTensor(model);
  if (stored !== undefined) {
    const message = `the model is quantized already: ${describeTensor(stored)}`;
    throw new QuantizeError('ALREADY_QUANTIZED', message);
  }
  const labels = new Map(operatorLabels(model));
  const names = uniqueTensorNames(graph);
  const { graph: fused, moved } = fuseActivations(graph, (operator) =>
    isExcluded(scheme, namedOperator(graph, operator, labels.get(operator) ?? '', names)),
  );
  for (const [before, now] of moved)
    if (!labels.has(now)) labels.set(now, labels.get(before) ?? '');
  const plan = planStatic(fused, statistics, scheme, labels);
  const ops = report(model, { ...plan, moved }, labels);
  if (scheme.integerOnly === true) refuseFloat(ops);
  if (plan.units.size === 0) throw nothing(nothingMessage(ops));
  const written = new StaticWriter(plan, scheme, labels).write();
  const changed = replaceInterface(withSubgraph(model, 0, written.graph), 0, written);
  return { model: compact(changed), ops };
}

function checkScheme(scheme: Scheme): void {
  const io = interfaceOf(scheme);
  const bits = scheme.activations === 's16' ? 16 : 8;
  if (io === 'float32' || (io === 'int16') === (bits === 16)) return;
  const message = `a model of ${bits}-bit activations cannot have ${io} inputs and outputs`;
  throw new QuantizeError('NOT_CONVERTIBLE', message);
}

function nothing(why: string): QuantizeError {
  const message = `nothing of this model can run in static INT8: ${why}`;
  return new QuantizeError('NOTHING_TO_QUANTIZE', message);
}

function nothingMessage(ops: readonly OpReport[]): string {
  const [first] = ops.filter(({ reason }) => reason !== undefined);
  return first === undefined
    ? 'it computes with no floats'
    : `${first.op} '${first.node}': ${first.reason ?? ''}`;
}

/** What of the model is float stays so in other subgraphs. */
function report(
  model: TfliteModel,
  { units, reasons, moved }: StaticPlan & Pick<Fused, 'moved'>,
  labels: ReadonlyMap<TfliteOperator, string>,
): readonly OpReport[] {
  return model.subgraphs.flatMap((graph, subgraph) =>
    graph.operators.map((operator): OpReport => {
      const row = { node: labels.get(operator) ?? '', op: opName(operator) };
      const now = moved.get(operator) ?? operator;
      if (units.has(now) || isWithoutFloats(graph, now)) return { ...row, precision: 'integer' };
      const reason = subgraph === 0 ? (reasons.get(now) ?? 'left as it is') : UNSEEN_GRAPH;
      return { ...row, precision: 'float', reason };
    }),
  );
}

const UNSEEN_GRAPH = 'its subgraph is called by another one, and cannot be calibrated from outside';

/** @throws QuantizeError that lists every operation that would stay in float */
function refuseFloat(ops: readonly OpReport[]): void {
  const float = ops.filter(({ precision }) => precision === 'float');
  if (float.length === 0) return;
  const list = float.map(({ node, op, reason }) => `${op} '${node}' (${reason ?? 'float'})`);
  const message = `${float.length} of ${ops.length} operations cannot run in integers: ${list.join(', ')}`;
  throw new QuantizeError('NOT_INTEGER', message);
}
