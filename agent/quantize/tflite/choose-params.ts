import type { TfliteOperator } from '../../model/tflite/types.ts';
import { affineParams, representable } from '../arithmetic.ts';
import type { QuantParams } from '../arithmetic.ts';
import { constantParams, rangeParams } from './ranges.ts';
import { leastOutputScale } from './scale-limits.ts';
import { recurrentOutput } from './recurrent/scales.ts';
import type { Given, IntegerUnit } from './units.ts';

type Units = ReadonlyMap<TfliteOperator, IntegerUnit>;

/**
 * Scale and zero point of every tensor that an integer unit reads or makes, by index. What goes into
 * a joined operator may have others there (`paramsIn`): then it is requantized in front of it.
 */
export function chooseParams(given: Given, units: Units): ReadonlyMap<number, QuantParams> {
  const leaders = chooseLeaders(given, units);
  const params = new Map<number, QuantParams>();
  const own = (at: number) => rangeParams(given, units, leaders.get(at) ?? at);
  for (const operator of given.graph.operators) {
    const unit = units.get(operator);
    if (unit === undefined) continue;
    for (const at of unit.inputs) if (!params.has(at)) params.set(at, own(at));
    for (const at of unit.outputs) params.set(at, outputParams(given, unit, at, params, own));
  }
  return params;
}

/** What a unit takes one of its inputs, or a constant, to have. */
export function paramsIn(
  given: Given,
  unit: IntegerUnit,
  at: number,
  params: ReadonlyMap<number, QuantParams>,
): QuantParams {
  const [made = -1] = unit.outputs;
  const isConstant = unit.constants.includes(at);
  const { role } = unit.rule;
  const shared = role === 'joined' || (role === 'layout' && isConstant);
  const found = params.get(shared ? made : at);
  return found ?? constantParams(given, at);
}

function outputParams(
  given: Given,
  unit: IntegerUnit,
  at: number,
  params: ReadonlyMap<number, QuantParams>,
  own: (at: number) => QuantParams,
): QuantParams {
  const { rule, inputs, constants } = unit;
  const fixed = rule.fixedOutput?.[given.type];
  if (fixed !== undefined) return fixed;
  if (rule.recurrent !== undefined) return recurrentOutput(given, rule.recurrent, at);
  if (rule.role === 'layout') {
    const [first = -1] = inputs;
    return params.get(first) ?? constantParams(given, constants[0] ?? -1);
  }
  const wanted = own(at);
  const least = leastOutputScale(given, unit, params);
  return wanted.scale < least ? widened(wanted, least) : wanted;
}

/** The same range, or a wider one around zero, so that the scale is at least this. */
function widened(params: QuantParams, least: number): QuantParams {
  const { min, max } = representable(params);
  const factor = (1.000001 * least) / params.scale;
  return affineParams(min * factor, max * factor, params.type);
}

/**
 * Tensors that should have the params of another one: of what a joined operator makes of them, if
 * nobody else reads them. Who makes them can as well round to these at once, which spares a
 * requantization and one rounding.
 */
function chooseLeaders({ graph, index }: Given, units: Units): ReadonlyMap<number, number> {
  const leaders = new Map<number, number>();
  for (const operator of graph.operators.toReversed()) {
    const unit = units.get(operator);
    if (unit === undefined) continue;
    const [made = -1] = unit.outputs;
    const leader = leaders.get(made) ?? (unit.rule.role === 'joined' ? made : undefined);
    if (leader === undefined || !handsOn(unit)) continue;
    for (const at of unit.inputs) {
      const isOnlyReader = index.consumers.get(at)?.length === 1 && !index.outputs.has(at);
      if (isOnlyReader && reads(operator, at) === 1) leaders.set(at, leader);
    }
  }
  return leaders;
}

/** Whether inputs and output have the same params. */
function handsOn({ rule: { role }, outputs }: IntegerUnit): boolean {
  return role === 'joined' || (role === 'layout' && outputs.length === 1);
}

const reads = ({ inputs }: TfliteOperator, at: number) =>
  inputs.filter((input) => input === at).length;
