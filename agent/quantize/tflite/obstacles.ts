import { opName } from '../../model/tflite/graph.ts';
import { describeTensor, elementCount, floatData } from '../../model/tflite/tensor.ts';
import type { TfliteOperator, TfliteTensor } from '../../model/tflite/types.ts';
import { OP_TABLE, whyFloat } from './op-table.ts';
import type { OpRule } from './op-table.ts';
import { whyNotRecurrent } from './recurrent/layout.ts';
import { UNSEEN, whyNotState } from './recurrent/scales.ts';
import { dataPositions, statisticsOf } from './units.ts';
import type { Given, IntegerUnit } from './units.ts';

/** What the operator becomes, or why it stays as it is. */
export function asUnit(given: Given, operator: TfliteOperator): IntegerUnit | string {
  const op = opName(operator);
  const rule = ruleHere(given, operator);
  if (rule === undefined) return whyFloat(op);
  if (given.type === 's16' && !rule.int16) return `${op} has no kernel for 16-bit activations`;
  if (isTooSlow(given, rule, operator))
    return 'its int8 kernel is slower than turning into floats and back';
  const { graph, index } = given;
  const data = dataPositions(operator, rule).map((position) => operator.inputs[position] ?? -1);
  const odd = data.find((at) => graph.tensors[at]?.type !== 'FLOAT32');
  if (odd !== undefined) return `its input is ${graph.tensors[odd]?.type ?? 'missing'}`;
  const unit: IntegerUnit = {
    operator,
    rule,
    inputs: data.filter((at) => !index.constants.has(at)),
    constants: data.filter((at) => index.constants.has(at)),
    outputs: operator.outputs.filter((at) => graph.tensors[at]?.type === 'FLOAT32'),
  };
  return (
    badInputs(given, unit) ??
    badWeights(given, unit) ??
    badRecurrent(given, unit) ??
    badOptions(unit) ??
    unseen(given, unit) ??
    badState(given, unit) ??
    negative(given, unit) ??
    unit
  );
}

/**
 * The row for this very operator. PADV2 may pad with what lies far outside of all that it pads (the
 * lowest float, in front of a maximum): then the end of the input's range does as well.
 */
function ruleHere(given: Given, operator: TfliteOperator): OpRule | undefined {
  const rule = OP_TABLE.get(opName(operator));
  if (operator.op !== 'PADV2' || rule === undefined) return rule;
  const padding = given.index.constants.get(operator.inputs[2] ?? -1);
  const seen = statisticsOf(given, operator.inputs[0] ?? -1);
  if (padding?.type !== 'FLOAT32' || seen === undefined) return rule;
  const [value = 0] = floatData(padding);
  const largest = Math.max(Math.abs(seen.min), Math.abs(seen.max));
  const steps = given.type === 's16' ? 2 ** 16 : 2 ** 8;
  return Math.abs(value) <= largest * steps ? rule : { ...rule, role: 'layout' };
}

/**
 * 16 bits are asked for to be exact, and integers only where there is nothing else; so are integers
 * at the model's outputs.
 */
function isTooSlow(
  { scheme, type, index, integerInterface }: Given,
  { slow }: OpRule,
  { outputs }: TfliteOperator,
): boolean {
  if (integerInterface && outputs.some((at) => index.outputs.has(at))) return false;
  return slow === true && type === 's8' && scheme.integerOnly !== true;
}

function badInputs({ graph, index }: Given, unit: IntegerUnit): string | undefined {
  if (unit.inputs.length === 0 && unit.rule.role !== 'layout')
    return 'all its inputs are constants';
  const state = unit.inputs.find((at) => graph.tensors[at]?.isVariable === true);
  if (state !== undefined) return 'it reads a state that is kept between runs';
  const infinite = unit.rule.role === 'layout' && unit.inputs.length > 0;
  for (const at of unit.constants) {
    const tensor = index.constants.get(at);
    const problem = tensor && unreadable(tensor, infinite);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** What keeps a constant from being quantized. */
function unreadable(tensor: TfliteTensor, mayBeInfinite = false): string | undefined {
  if (tensor.type !== 'FLOAT32') return `${describeTensor(tensor)} is a constant, but no float32`;
  if (tensor.sparsity !== undefined) return `${describeTensor(tensor)} is stored sparsely`;
  if (tensor.data === null) return `the values of ${describeTensor(tensor)} are in another file`;
  if (elementCount(tensor.shape) === 0) return `${describeTensor(tensor)} is empty`;
  const fits = mayBeInfinite ? (value: number) => !Number.isNaN(value) : Number.isFinite;
  return floatData(tensor).every((value) => fits(value))
    ? undefined
    : `${describeTensor(tensor)} holds values that are not finite`;
}

function badWeights({ index }: Given, { operator, rule }: IntegerUnit): string | undefined {
  if (rule.weights === undefined) return undefined;
  const weights = index.constants.get(operator.inputs[rule.weights.input] ?? -1);
  if (weights === undefined) return 'its weights are computed, not constant';
  const biasAt = operator.inputs[rule.weights.bias] ?? -1;
  const bias = index.constants.get(biasAt);
  if (biasAt >= 0 && bias === undefined) return 'its bias is computed, not constant';
  return unreadable(weights) ?? (bias && unreadable(bias)) ?? badShape(weights, rule, operator);
}

function badShape(
  weights: TfliteTensor,
  { weights: place }: OpRule,
  { options }: TfliteOperator,
): string | undefined {
  if (place === undefined || weights.shape.length <= Math.max(place.axis, place.inputAxis)) {
    return `${describeTensor(weights)} has too few axes for weights`;
  }
  if (options?.kind === 'FullyConnectedOptions' && options.weightsFormat !== 'DEFAULT') {
    return 'its weights are shuffled';
  }
  return undefined;
}

const ACTIVATIONS: ReadonlySet<string> = new Set(['NONE', 'RELU', 'RELU6', 'RELU_N1_TO_1']);

/** Layers with a state have activations inside, and their own rules for them. */
function badOptions({ operator: { options }, rule }: IntegerUnit): string | undefined {
  if (rule.recurrent !== undefined) return undefined;
  if (options === null || !('fusedActivationFunction' in options)) return undefined;
  const activation = options.fusedActivationFunction;
  return ACTIVATIONS.has(activation)
    ? undefined
    : `its activation ${activation} runs in float only`;
}

function badRecurrent({ graph, index }: Given, { operator, rule }: IntegerUnit) {
  return rule.recurrent && whyNotRecurrent(rule.recurrent, operator, graph, index);
}

function badState(given: Given, { operator, rule }: IntegerUnit): string | undefined {
  return rule.recurrent && whyNotState(given, operator, rule.recurrent);
}

function unseen(given: Given, { rule, inputs, outputs }: IntegerUnit): string | undefined {
  const ownScale = rule.role !== 'layout' && rule.fixedOutput === undefined;
  const needed = ownScale ? [...inputs, ...outputs] : inputs;
  const missing = needed.find((at) => statisticsOf(given, at) === undefined);
  return missing === undefined ? undefined : `${UNSEEN} of '${given.names[missing] ?? ''}'`;
}

/** The kernel fails where its input can stand for less than zero. */
function negative(
  given: Given,
  { operator, inputs: [input = -1] }: IntegerUnit,
): string | undefined {
  if (operator.op !== 'RSQRT' || (statisticsOf(given, input)?.min ?? 0) >= 0) return undefined;
  return 'its input was seen to be negative';
}
