import type { Scheme } from '../../contracts/scheme.ts';
import type { TfliteGraph, TfliteOperator } from '../../model/tflite/types.ts';
import { fuseActivations } from './fuse-activations.ts';
import { exclusion } from './left-out.ts';
import { restate } from './restate.ts';

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
  const isKept = exclusion(scheme, graph, labels);
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
