import type { Scheme } from '../../contracts/scheme.ts';
import { uniqueTensorNames } from '../../model/tflite/tensor-names.ts';
import type { TfliteGraph, TfliteOperator } from '../../model/tflite/types.ts';
import { isExcluded } from '../excluded.ts';
import { namedOperator } from './units.ts';

export const EXCLUDED = 'excluded by request';

/** Tells which operators of a graph are to stay in float. */
export function exclusion(
  scheme: Scheme,
  graph: TfliteGraph,
  labels: ReadonlyMap<TfliteOperator, string>,
): (operator: TfliteOperator) => boolean {
  const names = uniqueTensorNames(graph);
  return (operator) =>
    isExcluded(scheme, namedOperator(graph, operator, labels.get(operator) ?? '', names));
}
