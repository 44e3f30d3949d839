import { compact } from '../../../model/tflite/compact.ts';
import { tensorNameMaker, withSubgraph } from '../../../model/tflite/graph.ts';
import { bytesOf } from '../../../model/bytes.ts';
import { floatData } from '../../../model/tflite/tensor.ts';
import type { TfliteGraph, TfliteModel, TfliteOperator } from '../../../model/tflite/types.ts';
import type { ChannelRanges } from '../../../model/statistics.ts';
import { chooseFactors, targetsOf } from '../../equalize/factors.ts';
import type { ChannelTarget, FactorOptions, GroupReport } from '../../equalize/factors.ts';
import { multiply } from '../../equalize/multiply.ts';
import type { Slot } from '../../equalize/trace.ts';
import { trace } from './trace.ts';
import type { TfliteStep } from './trace.ts';

export interface Equalized {
  readonly model: TfliteModel;
  /** What was scaled; empty when nothing was worth it, and the model is then the same. */
  readonly groups: readonly GroupReport[];
}

/** The tensors of the main graph whose ranges per channel `equalize` wants to know. */
export function tensorsToEqualize({ subgraphs: [graph] }: TfliteModel): readonly ChannelTarget[] {
  return graph === undefined ? [] : targetsOf(trace(graph));
}

/**
 * Scales the channels of activations up and down, against the weights before and behind them, so
 * that 8 bits serve all channels alike. Computes the same function in float.
 * @param model prepared, with unique names
 * @param ranges of the tensors that `tensorsToEqualize` named
 */
export function equalize(
  model: TfliteModel,
  ranges: ReadonlyMap<string, ChannelRanges>,
  options: FactorOptions = {},
): Equalized {
  const [graph] = model.subgraphs;
  if (graph === undefined) return { model, groups: [] };
  const traced = trace(graph);
  const { of, groups } = chooseFactors(traced, ranges, options);
  if (groups.length === 0) return { model, groups };
  return { model: compact(withSubgraph(model, 0, rescale(graph, traced.slots, of))), groups };
}

/** Constants that several operators read are copied for those that change. */
function rescale(
  graph: TfliteGraph,
  slots: readonly Slot<TfliteStep>[],
  factorOf: (id: number) => number,
): TfliteGraph {
  const unique = tensorNameMaker(graph);
  const tensors = [...graph.tensors];
  const changed = new Map<TfliteOperator, number[]>();
  for (const { step, position, layout, power } of slots) {
    if (layout.ids.every((id) => factorOf(id) === 1)) continue;
    const { operator } = step;
    const inputs = changed.get(operator) ?? [...operator.inputs];
    changed.set(operator, inputs);
    const tensor = tensors[inputs[position] ?? -1];
    if (tensor === undefined) continue;
    const values = Float64Array.from(floatData(tensor));
    multiply(values, tensor.shape, { layout, power }, factorOf);
    const data = bytesOf(Float32Array.from(values));
    inputs[position] = tensors.push({ ...tensor, name: unique(tensor.name), data }) - 1;
  }
  const operators = graph.operators.map((one) => {
    const inputs = changed.get(one);
    return inputs === undefined ? one : { ...one, inputs };
  });
  return { ...graph, tensors, operators };
}
