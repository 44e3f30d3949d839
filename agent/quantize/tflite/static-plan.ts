import type { Scheme } from '../../contracts/scheme.ts';
import type { Statistics } from '../../model/statistics.ts';
import type { TfliteGraph, TfliteOperator } from '../../model/tflite/types.ts';
import type { WeightInput } from '../../model/tflite/weight-inputs.ts';
import type { QuantParams } from '../arithmetic.ts';
import { isExcluded } from '../excluded.ts';
import { settleBorders } from './borders.ts';
import { chooseParams } from './choose-params.ts';
import { recurrentWeights } from './hybrid-recurrent.ts';
import { asUnit } from './obstacles.ts';
import { cannotCompare } from './scale-limits.ts';
import { isWithoutFloats, makeGiven, namedOperator } from './units.ts';
import type { Given, IntegerUnit } from './units.ts';

/** Everything static quantization will do to a graph, decided before anything is changed. */
export interface StaticPlan {
  readonly given: Given;
  readonly units: ReadonlyMap<TfliteOperator, IntegerUnit>;
  /** By the tensor's index. */
  readonly params: ReadonlyMap<number, QuantParams>;
  /** Why the others stay float; those that have no floats at all are not in it. */
  readonly reasons: ReadonlyMap<TfliteOperator, string>;
  /** Recurrent layers that get int8 weights and go on with floats, with the inputs to store so. */
  readonly hybrid: ReadonlyMap<TfliteOperator, readonly WeightInput[]>;
}

/** @param labels how reports name the operators */
export function planStatic(
  graph: TfliteGraph,
  statistics: Statistics,
  scheme: Scheme,
  labels: ReadonlyMap<TfliteOperator, string>,
): StaticPlan {
  const given = makeGiven(graph, statistics, scheme);
  const units = new Map<TfliteOperator, IntegerUnit>();
  const reasons = new Map<TfliteOperator, string>();
  const hybrid = new Map<TfliteOperator, readonly WeightInput[]>();
  for (const operator of graph.operators) {
    if (isWithoutFloats(graph, operator)) continue;
    const name = namedOperator(graph, operator, labels.get(operator) ?? '', given.names);
    const excluded = isExcluded(scheme, name);
    const made = excluded ? 'excluded by request' : asUnit(given, operator);
    const mayStore = !excluded && scheme.integerOnly !== true;
    const recurrent = mayStore ? recurrentWeights(graph, operator) : [];
    if (recurrent.length > 0) hybrid.set(operator, recurrent);
    if (typeof made === 'string') reasons.set(operator, made);
    else units.set(operator, made);
  }
  for (;;) {
    // Where there is no float, speed is no reason to prefer it.
    if (scheme.integerOnly !== true) settleBorders(given, units, reasons);
    const params = chooseParams(given, units);
    const refused = [...units.values()].flatMap((unit) => {
      const reason = cannotCompare(given, unit, params);
      return reason === undefined ? [] : [[unit.operator, reason] as const];
    });
    if (refused.length === 0) return { given, units, params, reasons, hybrid };
    for (const [operator, reason] of refused) {
      units.delete(operator);
      reasons.set(operator, reason);
    }
  }
}
