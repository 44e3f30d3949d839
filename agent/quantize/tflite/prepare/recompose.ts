import { bytesOf } from '../../../model/bytes.ts';
import { indexGraph } from '../../../model/tflite/graph.ts';
import type { GraphIndex } from '../../../model/tflite/graph.ts';
import { elementCount, floatData, tensorNumbers } from '../../../model/tflite/tensor.ts';
import { makeOperator, makeTensor, optionsOf } from '../../../model/tflite/types.ts';
import type {
  BuiltinOperator,
  TfliteGraph,
  TfliteOperator,
  TfliteTensor,
} from '../../../model/tflite/types.ts';

/**
 * PRELU and SOFTMAX where older converters took them apart: five operators over a large tensor each,
 * most of which have no int8 kernel that is worth it, or none. What else reads a value in between
 * still gets it.
 */
export function recompose(graph: TfliteGraph): TfliteGraph {
  const index = indexGraph(graph);
  const tensors = [...graph.tensors];
  const look = { graph, index };
  const operators = graph.operators.map((operator) => {
    const x = softmaxOf(look, operator);
    const [made = -1] = operator.outputs;
    if (x !== undefined) {
      const options = { kind: 'SoftmaxOptions', beta: 1 } as const;
      return makeOperator({ op: 'SOFTMAX', inputs: [x], outputs: [made], options });
    }
    const found = preluOf(look, operator);
    if (found === undefined) return operator;
    const name = `${graph.tensors[made]?.name ?? ''}_alpha`;
    const { slopes } = found;
    const alpha = { name, type: 'FLOAT32', shape: [slopes.length], data: bytesOf(slopes) } as const;
    const inputs = [found.x, tensors.push(makeTensor(alpha)) - 1];
    return makeOperator({ op: 'PRELU', inputs, outputs: [made] });
  });
  if (operators.every((one, at) => one === graph.operators[at])) return graph;
  return { ...graph, tensors, operators };
}

interface Look {
  readonly graph: TfliteGraph;
  readonly index: GraphIndex;
}

/** The operator that makes a tensor, where it is one of this kind without an activation. */
function maker(
  { index }: Look,
  at: number | undefined,
  op: BuiltinOperator,
): TfliteOperator | undefined {
  const found = index.producer.get(at ?? -1);
  return found?.op === op && isBare(found) ? found : undefined;
}

function isBare({ options }: TfliteOperator): boolean {
  return (
    options === null ||
    !('fusedActivationFunction' in options) ||
    options.fusedActivationFunction === 'NONE'
  );
}

interface Prelu {
  readonly x: number;
  /** One per channel. */
  readonly slopes: Float32Array;
}

/** relu(x) + slopes * min(x, 0), however the second half is said, or what is subtracted. */
function preluOf(look: Look, sum: TfliteOperator): Prelu | undefined {
  const sign = sum.op === 'ADD' ? 1 : -1;
  if ((sum.op !== 'ADD' && sum.op !== 'SUB') || !isBare(sum)) return undefined;
  const [a = -1, b = -1] = sum.inputs;
  const orders = sign === 1 ? [[a, b] as const, [b, a] as const] : [[a, b] as const];
  for (const [positive, rest] of orders) {
    const x = maker(look, positive, 'RELU')?.inputs[0];
    const slopes = x === undefined ? undefined : slopesOf(look, rest, x);
    if (x === undefined || slopes === undefined) continue;
    return { x, slopes: slopes.map((slope) => slope * sign) };
  }
  return undefined;
}

/** No converter nests more. */
const MAX_DEPTH = 6;

/** What min(x, 0) is multiplied with to give a tensor, per channel of x. */
function slopesOf(look: Look, at: number, x: number, depth = 0): Float32Array | undefined {
  const channels = channelsOf(look.graph.tensors[x]);
  const producer = look.index.producer.get(at);
  if (channels === undefined || producer === undefined || depth > MAX_DEPTH) return undefined;
  const slope = belowZero(look, producer, x);
  if (slope !== undefined) return new Float32Array(channels).fill(slope);
  const [a = -1, b = -1] = producer.inputs;
  if (producer.op === 'NEG') return slopesOf(look, a, x, depth + 1)?.map((one) => -one);
  if (producer.op !== 'MUL' || !isBare(producer)) return undefined;
  const first = factorsOf(look, a, channels);
  const factors = first ?? factorsOf(look, b, channels);
  const slopes = factors && slopesOf(look, first === undefined ? a : b, x, depth + 1);
  return slopes?.map((one, channel) => one * (factors?.[channel] ?? 0));
}

/** min(x, 0) as min, -min(x, 0) as relu(-x), 2 min(x, 0) as x - |x|: with how much of it. */
function belowZero(look: Look, producer: TfliteOperator, x: number): number | undefined {
  const { op, inputs } = producer;
  const [a = -1, b = -1] = inputs;
  if (op === 'RELU' && maker(look, a, 'NEG')?.inputs[0] === x) return -1;
  if (op === 'SUB' && isBare(producer) && a === x && maker(look, b, 'ABS')?.inputs[0] === x)
    return 2;
  const other = a === x ? b : a;
  return op === 'MINIMUM' && inputs.includes(x) && isZero(look, other) ? 1 : undefined;
}

/** Of images, which alone XNNPACK takes a PRELU of. */
function channelsOf(tensor: TfliteTensor | undefined): number | undefined {
  if (tensor?.type !== 'FLOAT32' || tensor.shape.length !== 4) return undefined;
  return tensor.shape[3];
}

function constantFloats({ index }: Look, at: number): Float32Array | undefined {
  const tensor = index.constants.get(at);
  if (tensor?.type !== 'FLOAT32' || tensor.data === null) return undefined;
  return tensor.sparsity === undefined ? floatData(tensor) : undefined;
}

const isZero = (look: Look, at: number) =>
  constantFloats(look, at)?.every((value) => value === 0) === true;

/** A constant factor for each channel; undefined where it is none, or one for each place. */
function factorsOf(look: Look, at: number, channels: number): Float32Array | undefined {
  const values = constantFloats(look, at);
  const shape = look.graph.tensors[at]?.shape ?? [];
  if (values === undefined || shape.length > 4) return undefined;
  if (values.length === 1) return new Float32Array(channels).fill(values[0] ?? 0);
  return elementCount(shape) === channels && shape.at(-1) === channels ? values : undefined;
}

/** The x of exp(x - max(x)) / sum(exp(x - max(x))), or of exp(x) / sum(exp(x)), along the last axis. */
function softmaxOf(look: Look, quotient: TfliteOperator): number | undefined {
  if (quotient.op !== 'DIV' || !isBare(quotient)) return undefined;
  const [above = -1, below = -1] = quotient.inputs;
  const power = maker(look, above, 'EXP');
  const sum = maker(look, below, 'SUM');
  if (power === undefined || sum?.inputs[0] !== above || !isAlongLast(look, sum)) return undefined;
  const [exponent = -1] = power.inputs;
  if (look.graph.tensors[exponent]?.type !== 'FLOAT32') return undefined;
  const [x = -1, most = -1] = maker(look, exponent, 'SUB')?.inputs ?? [];
  const largest = maker(look, most, 'REDUCE_MAX');
  const isShifted = largest?.inputs[0] === x && isAlongLast(look, largest);
  return isShifted ? x : exponent;
}

function isAlongLast({ graph, index }: Look, reducer: TfliteOperator): boolean {
  const [input = -1, axes = -1] = reducer.inputs;
  const rank = graph.tensors[input]?.shape.length ?? 0;
  const along = index.constants.get(axes);
  const keeps = optionsOf(reducer, 'ReducerOptions')?.keepDims === true;
  if (along === undefined || along.data === null || !keeps || rank === 0) return false;
  const [axis, ...others] = tensorNumbers(along);
  return others.length === 0 && (axis === -1 || axis === rank - 1);
}
