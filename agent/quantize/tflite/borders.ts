import type { TfliteOperator } from '../../model/tflite/types.ts';
import { elementsOf } from './units.ts';
import type { Given, IntegerUnit } from './units.ts';

/**
 * Where integers end. Between float and integers a model converts every element; an operator of
 * little work is worth running in integers only if that does not add to what is converted.
 */

type Units = Map<TfliteOperator, IntegerUnit>;

/** Takes units out, with reasons, until each that is left spares conversions. */
export function settleBorders(
  given: Given,
  units: Units,
  reasons: Map<TfliteOperator, string>,
): void {
  for (let changed = true; changed;) {
    changed = false;
    for (const operator of given.graph.operators) {
      const unit = units.get(operator);
      const reason = unit === undefined ? undefined : lonely(given, units, unit);
      if (reason === undefined) continue;
      units.delete(operator);
      reasons.set(operator, reason);
      changed = true;
    }
  }
  dropIslands(given, units, reasons);
}

const isHeavy = ({ rule: { role } }: IntegerUnit) => role === 'weighted' || role === 'product';

function lonely(given: Given, units: Units, unit: IntegerUnit): string | undefined {
  if (isHeavy(unit)) return undefined;
  const inIntegers = convertedAround(given, units, unit, true);
  const inFloat = convertedAround(given, units, unit, false);
  if (inIntegers < inFloat) return undefined;
  // As many either way: what moves bytes moves fewer, what computes is more exact in float.
  if (inIntegers === inFloat && unit.rule.role === 'layout') return undefined;
  return 'around it is float, and it does little work';
}

/** Elements converted at the edges of a unit, if it runs in integers or if it does not. */
function convertedAround(given: Given, units: Units, unit: IntegerUnit, integer: boolean): number {
  let sum = 0;
  for (const at of new Set(unit.inputs)) {
    const { floats, integers } = sides(given, units, at, unit);
    const made = isIntegerMade(given, units, at);
    // Converted already for somebody else: no price.
    if (integer && !made && !integers) sum += elementsOf(given, at);
    if (!integer && made && !floats) sum += elementsOf(given, at);
  }
  for (const at of unit.outputs) {
    const { floats, integers } = sides(given, units, at, unit);
    if (integer ? floats : integers) sum += elementsOf(given, at);
  }
  return sum;
}

/** Who reads a tensor besides one unit. */
function sides(
  given: Given,
  units: Units,
  at: number,
  but: IntegerUnit,
): { readonly floats: boolean; readonly integers: boolean } {
  const readers = (given.index.consumers.get(at) ?? []).filter((one) => one !== but.operator);
  const leaves = given.index.outputs.has(at);
  return {
    floats: readers.some((one) => !units.has(one)) || (leaves && !given.integerInterface),
    integers: readers.some((one) => units.has(one)) || (leaves && given.integerInterface),
  };
}

function isIntegerMade({ index, integerInterface }: Given, units: Units, at: number): boolean {
  const maker = index.producer.get(at);
  return maker === undefined ? integerInterface && index.inputs.has(at) : units.has(maker);
}

/** Units that hang together without one that does much work would convert for nothing. */
function dropIslands(given: Given, units: Units, reasons: Map<TfliteOperator, string>): void {
  const seen = new Set<IntegerUnit>();
  for (const start of units.values()) {
    if (seen.has(start)) continue;
    const island = connected(given, units, start);
    island.forEach((unit) => seen.add(unit));
    if ([...island].some(isHeavy)) continue;
    for (const { operator } of island) {
      units.delete(operator);
      reasons.set(operator, 'no convolution and no matrix product beside it runs in integers');
    }
  }
}

function connected({ index }: Given, units: Units, start: IntegerUnit): ReadonlySet<IntegerUnit> {
  const found = new Set([start]);
  // A set that grows while it is walked: whatever is added is walked too.
  for (const { inputs, outputs } of found) {
    const beside = [...inputs, ...outputs].flatMap((at) => {
      const maker = index.producer.get(at);
      return [...(maker === undefined ? [] : [maker]), ...(index.consumers.get(at) ?? [])];
    });
    for (const operator of beside) {
      const unit = units.get(operator);
      if (unit !== undefined) found.add(unit);
    }
  }
  return found;
}
