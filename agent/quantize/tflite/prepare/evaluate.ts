import { bytesOf } from '../../../model/bytes.ts';
import { densify } from '../../../model/tflite/densify.ts';
import { inputTensor, outputTensor } from '../../../model/tflite/graph.ts';
import {
  elementBits,
  elementCount,
  floatData,
  tensorNumbers,
} from '../../../model/tflite/tensor.ts';
import { optionsOf } from '../../../model/tflite/types.ts';
import type {
  BuiltinOperator,
  TensorType,
  TfliteGraph,
  TfliteOperator,
  TfliteTensor,
} from '../../../model/tflite/types.ts';

/**
 * What an operator makes of constants, for the few operators that converters leave between constants
 * and those who read them. Undefined where that is not known here.
 */
export function evaluate(graph: TfliteGraph, operator: TfliteOperator): TfliteTensor | undefined {
  const output = outputTensor(graph, operator);
  const input = inputTensor(graph, operator, 0);
  if (output === undefined || input === undefined || operator.outputs.length !== 1)
    return undefined;
  return EVALUATORS.get(operator.op)?.({ graph, operator, input, output });
}

interface Case {
  readonly graph: TfliteGraph;
  readonly operator: TfliteOperator;
  readonly input: TfliteTensor;
  readonly output: TfliteTensor;
}

const EVALUATORS = new Map<BuiltinOperator, (one: Case) => TfliteTensor | undefined>([
  // int8 weights stay as they are stored: see stored-weights.ts.
  [
    'DEQUANTIZE',
    ({ input, output }) => (input.type === 'FLOAT16' ? floats(input, output) : undefined),
  ],
  ['DENSIFY', ({ input, output }) => ({ ...output, data: densify(input).data })],
  ['RESHAPE', sameBytes],
  ['SQUEEZE', sameBytes],
  ['EXPAND_DIMS', sameBytes],
  ['TRANSPOSE', transpose],
  ['CAST', cast],
  ['PACK', pack],
  ['CONCATENATION', concatenate],
  ['STRIDED_SLICE', slice],
]);

function floats(input: TfliteTensor, output: TfliteTensor): TfliteTensor {
  return { ...output, data: bytesOf(floatData(input)) };
}

function sameBytes({ input, output }: Case): TfliteTensor | undefined {
  if (input.type !== output.type || elementCount(input.shape) !== elementCount(output.shape)) {
    return undefined;
  }
  return { ...output, data: input.data };
}

function transpose({ graph, operator, input, output }: Case): TfliteTensor | undefined {
  const order = inputTensor(graph, operator, 1);
  const bytes = (elementBits(input.type) ?? 0) / 8;
  if (order === undefined || input.data === null || !Number.isInteger(bytes)) return undefined;
  const axes = tensorNumbers(order);
  const shape = axes.map((axis) => input.shape[axis] ?? 0);
  if (shape.join() !== output.shape.join()) return undefined;
  const steps = axes.map((axis) => elementCount(input.shape.slice(axis + 1)) * bytes);
  const data = new Uint8Array(input.data.length);
  let written = 0;
  const walk = (dim: number, from: number) => {
    if (dim === shape.length) {
      data.set(input.data?.subarray(from, from + bytes) ?? [], written);
      written += bytes;
      return;
    }
    for (let at = 0; at < (shape[dim] ?? 0); at++) walk(dim + 1, from + at * (steps[dim] ?? 0));
  };
  walk(0, 0);
  return { ...output, data };
}

/** Types whose values are numbers without loss, and small enough to go through `number`. */
const ARRAYS = new Map<TensorType, (values: readonly number[]) => ArrayBufferView | undefined>([
  ['FLOAT32', (values) => Float32Array.from(values)],
  ['INT32', (values) => (isWhole(values, 2 ** 31) ? Int32Array.from(values) : undefined)],
  [
    'INT64',
    (values) => (isWhole(values, 2 ** 53) ? BigInt64Array.from(values, BigInt) : undefined),
  ],
]);

function isWhole(values: readonly number[], limit: number): boolean {
  return values.every((one) => Number.isInteger(one) && Math.abs(one) < limit);
}

function cast({ input, output }: Case): TfliteTensor | undefined {
  return ARRAYS.has(input.type) ? numbers(output, tensorNumbers(input)) : undefined;
}

/** Shapes are put together from few numbers; larger constants are not worth a copy. */
const MAX_NUMBERS = 64;

function numbers(output: TfliteTensor, values: readonly number[]): TfliteTensor | undefined {
  if (values.length > MAX_NUMBERS || elementCount(output.shape) !== values.length) return undefined;
  const array = ARRAYS.get(output.type)?.(values);
  return array === undefined ? undefined : { ...output, data: bytesOf(array) };
}

function pack(one: Case): TfliteTensor | undefined {
  const isVector = one.output.shape.length === 1;
  return isVector ? joined(one) : undefined;
}

function concatenate(one: Case): TfliteTensor | undefined {
  return one.output.shape.length === 1 ? joined(one) : undefined;
}

function joined({ graph, operator, output }: Case): TfliteTensor | undefined {
  const parts = operator.inputs.map((_, position) => inputTensor(graph, operator, position));
  if (!parts.every((part) => part?.type === output.type)) return undefined;
  return numbers(
    output,
    parts.flatMap((part) => (part === undefined ? [] : tensorNumbers(part))),
  );
}

/** A part of a vector; `shrinkAxisMask` makes a scalar of one element. */
function slice({ graph, operator, input, output }: Case): TfliteTensor | undefined {
  const options = optionsOf(operator, 'StridedSliceOptions');
  const bounds = [1, 2, 3].map((position) => inputTensor(graph, operator, position));
  if (options === undefined || options.offset || input.shape.length !== 1) return undefined;
  if (options.newAxisMask + options.ellipsisMask !== 0) return undefined;
  const [begin, end, step] = bounds.map((one) =>
    one === undefined ? undefined : tensorNumbers(one)[0],
  );
  if (begin === undefined || end === undefined || step !== 1) return undefined;
  const values = tensorNumbers(input);
  const from = options.beginMask === 0 ? begin : 0;
  const to = options.endMask === 0 ? end : values.length;
  if (options.shrinkAxisMask === 0) return numbers(output, values.slice(from, to));
  const picked = values.at(from);
  return picked === undefined ? undefined : numbers(output, [picked]);
}
