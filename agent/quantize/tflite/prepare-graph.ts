import type { Scheme } from '../../contracts/scheme.ts';
import { uniqueTensorNames } from '../../model/tflite/tensor-names.ts';
import type { TfliteGraph, TfliteOperator } from '../../model/tflite/types.ts';
import { isExcluded } from '../excluded.ts';
import { fuseActivations } from './fuse-activations.ts';
import { restate } from './restate.ts';
import { namedOperator } from './units.ts';

export interface Prepared {
  readonly graph: TfliteGraph;
  /** Operators of the file -> those that do their work now. */
  readonly moved: ReadonlyMap<TfliteOperator, TfliteOperator>;
}

/** Says what it can in operators that run in integers. New operators get the labels of old ones. */
export function prepareGraph(
  graph: TfliteGraph,
  scheme: Scheme,
  labels: Map<TfliteOperator, string>,
): Prepared {
  const names = uniqueTensorNames(graph);
  const isKept = (one: TfliteOperator) =>
    isExcluded(scheme, namedOperator(graph, one, labels.get(one) ?? '', names));
  const restated = restate(graph, isKept);
  nameAnew(labels, restated.moved);
  const fused = fuseActivations(restated.graph, isKept);
  nameAnew(labels, fused.moved);
  const moved = graph.operators.map((before) => {
    const said = restated.moved.get(before) ?? before;
    return [before, fused.moved.get(said) ?? said] as const;
  });
  return { graph: fused.graph, moved: new Map(moved) };
}

function nameAnew(
  labels: Map<TfliteOperator, string>,
  moved: ReadonlyMap<TfliteOperator, TfliteOperator>,
): void {
  for (const [before, now] of moved)
    if (!labels.has(now)) labels.set(now, labels.get(before) ?? '');
}
