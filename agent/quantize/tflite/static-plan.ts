import type { Scheme } from '../../contracts/scheme.ts';
import type { Statistics } from '../../model/statistics.ts';
import type { TfliteOperator } from '../../model/tflite/types.ts';
import type { WeightInput } from '../../model/tflite/weight-inputs.ts';
import type { QuantParams } from '../arithmetic.ts';
import { settleBorders } from './borders.ts';
import { chooseParams } from './choose-params.ts';
import { recurrentWeights } from './hybrid-recurrent.ts';
import { EXCLUDED, exclusion } from './left-out.ts';
import { asUnit } from './obstacles.ts';
import { cannotCompare } from './scale-limits.ts';
import type { Decoded } from './stored-weights.ts';
import { isWithoutFloats, makeGiven } from './units.ts';
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
  { graph, stored }: Pick<Decoded, 'graph' | 'stored'>,
  statistics: Statistics,
  scheme: Scheme,
  labels: ReadonlyMap<TfliteOperator, string>,
): StaticPlan {
  const given = makeGiven(graph, statistics, scheme, stored);
  const units = new Map<TfliteOperator, IntegerUnit>();
  const reasons = new Map<TfliteOperator, string>();
  const hybrid = new Map<TfliteOperator, readonly WeightInput[]>();
  const isKept = exclusion(scheme, graph, labels);
  for (const operator of graph.operators) {
    if (isWithoutFloats(graph, operator) || decodes(given, operator)) continue;
    const excluded = isKept(operator);
    const made = excluded ? EXCLUDED : asUnit(given, operator);
    const isStored = operator.inputs.some((at) => stored.has(at));
    const mayStore = !excluded && !isStored && scheme.integerOnly !== true;
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

/** A DEQUANTIZE of a constant runs once, when the model is loaded, if anybody still reads it. */
function decodes({ stored }: Given, { op, outputs: [made = -1] }: TfliteOperator): boolean {
  return op === 'DEQUANTIZE' && stored.has(made);
}
