import type { Scheme } from '../../contracts/scheme.ts';
import type { Statistics } from '../../model/statistics.ts';
import { compact } from '../../model/tflite/compact.ts';
import { replaceInterface } from '../../model/tflite/edit.ts';
import { indexGraph, opName, operatorLabels, withSubgraph } from '../../model/tflite/graph.ts';
import type { TfliteModel } from '../../model/tflite/types.ts';
import { uniqueTensorNames } from '../../model/tflite/tensor-names.ts';
import { QuantizeError } from '../errors.ts';
import { refuseFloat } from '../report.ts';
import type { Quantized } from '../report.ts';
import { OP_TABLE } from './op-table.ts';
import { prepareGraph } from './prepare-graph.ts';
import { refuseQuantized } from './recognize.ts';
import { stateNames } from './recurrent/states.ts';
import { planStatic } from './static-plan.ts';
import { restate } from './restate.ts';
import { nothing, nothingMessage, reportOps } from './static-report.ts';
import { StaticWriter } from './static-writer.ts';
import { decodeStored } from './stored-weights.ts';
import { dataPositions, interfaceOf, isFloatActivation } from './units.ts';

/**
 * Names of the float activations of the first subgraph whose ranges `quantizeStatic` may ask for, with
 * those of the states that `withStates` shows. Nothing outside sees into subgraphs that control flow
 * calls: they stay in float.
 */
export function tensorsToObserve(model: TfliteModel): readonly string[] {
  const [stored] = model.subgraphs;
  if (stored === undefined) return [];
  const { graph } = restate(decodeStored(stored).graph, () => false);
  const given = { graph, index: indexGraph(graph) };
  const names = uniqueTensorNames(graph);
  const wanted = new Set<number>();
  for (const operator of graph.operators) {
    const rule = OP_TABLE.get(opName(operator));
    if (rule === undefined) continue;
    const data = dataPositions(operator, rule).map((position) => operator.inputs[position] ?? -1);
    for (const at of [...data, ...operator.outputs]) {
      if (isFloatActivation(given, at)) wanted.add(at);
    }
  }
  return [...[...wanted].map((at) => names[at] ?? ''), ...stateNames(graph)];
}

/**
 * Full-integer quantization: int8 (or int16) activations, int8 weights, biases at scale input *
 * weight, QUANTIZE and DEQUANTIZE where integers end.
 * @param model prepared: constants are FLOAT32, or in 8 bits and read by what computes in float, and
 *   there is no FAKE_QUANT
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
  refuseQuantized(model);
  const labels = new Map(operatorLabels(model));
  const { stored, before, graph: decoded } = decodeStored(graph);
  const { graph: prepared, moved } = prepareGraph(decoded, scheme, labels, stored);
  const plan = planStatic({ graph: prepared, stored }, statistics, scheme, labels);
  const ops = reportOps(model, { ...plan, moved }, labels);
  if (scheme.integerOnly === true) refuseFloat(ops);
  if (plan.units.size === 0) throw nothing(nothingMessage(ops));
  const written = new StaticWriter(plan, scheme, labels, before).write();
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
