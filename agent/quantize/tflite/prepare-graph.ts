import type { Scheme } from '../../contracts/scheme.ts';
import type { Statistics } from '../../model/statistics.ts';
import type { TfliteGraph, TfliteOperator, TfliteTensor } from '../../model/tflite/types.ts';
import { fuseActivations } from './fuse-activations.ts';
import { growFilters } from './grow-filters.ts';
import { exclusion } from './left-out.ts';
import { widenFilters } from './nine-taps.ts';
import { restate } from './restate.ts';
import type { Restated, RestatedKnown } from './restate.ts';
import { splitPrelus } from './split-prelu.ts';

export interface Prepared {
  readonly graph: TfliteGraph;
  /** Operators of the file -> those that do their work now. */
  readonly moved: ReadonlyMap<TfliteOperator, TfliteOperator>;
  /** Those given, with what is known of tensors that were added. */
  readonly statistics: Statistics;
}

type Pass = (graph: TfliteGraph, statistics: Statistics) => Restated | RestatedKnown;

/**
 * Says what it can in operators that run in integers, and fast. New operators get the labels of old
 * ones.
 * @param stored constants that the file holds as integers: those are used as they are
 */
export function prepareGraph(
  graph: TfliteGraph,
  scheme: Scheme,
  labels: Map<TfliteOperator, string>,
  stored: ReadonlyMap<number, TfliteTensor>,
  given: Statistics,
): Prepared {
  const isKept = exclusion(scheme, graph, labels);
  const isAsStored = (operator: TfliteOperator) => operator.inputs.some((at) => stored.has(at));
  const isLeft = (operator: TfliteOperator) => isKept(operator) || isAsStored(operator);
  const passes: readonly Pass[] = [
    (now) => restate(now, isKept),
    ...(scheme.activations === 's16'
      ? ([(now, known) => splitPrelus(now, known, isKept)] satisfies Pass[])
      : []),
    (now) => fuseActivations(now, isKept),
    ...(isForXnnpack(scheme)
      ? [widenFilters, growFilters].map(
          (pass): Pass =>
            (now, known) =>
              pass(now, known, isLeft),
        )
      : []),
  ];
  let prepared: Prepared = {
    graph,
    moved: new Map(graph.operators.map((one) => [one, one])),
    statistics: given,
  };
  for (const pass of passes) {
    const { moved, ...now } = pass(prepared.graph, prepared.statistics);
    nameAnew(labels, moved);
    const all = [...prepared.moved].map(([from, to]) => [from, moved.get(to) ?? to] as const);
    prepared = { ...prepared, ...now, moved: new Map(all) };
  }
  return prepared;
}

/** 16-bit activations have TensorFlow Lite's own kernels alone, and so have microcontrollers. */
const isForXnnpack = ({ activations, integerOnly }: Scheme) =>
  activations !== 's16' && integerOnly !== true;

function nameAnew(
  labels: Map<TfliteOperator, string>,
  moved: ReadonlyMap<TfliteOperator, TfliteOperator>,
): void {
  for (const [before, now] of moved)
    if (!labels.has(now)) labels.set(now, labels.get(before) ?? '');
}
