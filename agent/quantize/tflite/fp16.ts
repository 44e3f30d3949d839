import type { Scheme } from '../../contracts/scheme.ts';
import { compact } from '../../model/tflite/compact.ts';
import { opName, operatorLabels } from '../../model/tflite/graph.ts';
import { isFloatType } from '../../model/tflite/numeric-kind.ts';
import { elementCount, floatData, isPlainFloats } from '../../model/tflite/tensor.ts';
import type {
  TfliteGraph,
  TfliteModel,
  TfliteOperator,
  TfliteTensor,
} from '../../model/tflite/types.ts';
import { QuantizeError } from '../errors.ts';
import { halfBits } from '../onnx/fp16/half.ts';
import type { OpReport, Quantized } from '../report.ts';
import { EXCLUDED, exclusion } from './left-out.ts';
import { refuseQuantized } from './recognize.ts';
import { GraphRewrite, MadeOnce } from './rewrite.ts';

export interface HalfModel extends Quantized<TfliteModel> {
  /** Constants with finite values that float16 cannot hold, and how many; they are clamped. */
  readonly clamped: readonly { readonly tensor: string; readonly values: number }[];
}

/**
 * float32 constants as float16, each with one DEQUANTIZE for all who read it. TFLite and XNNPACK make
 * float32 of them when the model is loaded and compute in that; GPU delegates take them as they are.
 * Inputs and outputs stay float32. Expects a prepared model.
 */
export function toFp16(model: TfliteModel, scheme: Scheme): HalfModel {
  refuseQuantized(model);
  const labels = operatorLabels(model);
  const made = new MadeOnce();
  const clamped = new Map<string, number>();
  const ops: OpReport[] = [];
  const subgraphs = model.subgraphs.map((graph) => {
    const rewrite = new GraphRewrite(graph, made);
    const isExcluded = exclusion(scheme, graph, labels);
    const taken = convertible(graph, isExcluded);
    for (const index of taken) {
      rewrite.store(index, 'float16', (tensor) => {
        const half = toHalf(tensor);
        if (half.above > 0) clamped.set(tensor.name, half.above);
        return half.tensor;
      });
    }
    for (const operator of graph.operators) {
      if (!computesInFloat(graph, operator)) continue;
      const row = { node: labels.get(operator) ?? '', op: opName(operator) };
      if (operator.inputs.some((index) => taken.has(index))) {
        ops.push({ ...row, precision: 'fp16' });
      } else {
        const reason = isExcluded(operator)
          ? EXCLUDED
          : 'has no constants worth storing in 16 bits';
        ops.push({ ...row, precision: 'float', reason });
      }
    }
    return { graph: rewrite.finish(), count: taken.size };
  });
  if (subgraphs.every(({ count }) => count === 0)) {
    const nothing = `no float32 constants of ${MIN_ELEMENTS} values or more`;
    throw new QuantizeError('NOTHING_TO_QUANTIZE', nothing);
  }
  return {
    model: compact({ ...model, subgraphs: subgraphs.map(({ graph }) => graph) }),
    ops,
    clamped: [...clamped].map(([tensor, values]) => ({ tensor, values })),
  };
}

/**
 * The same function, with the constants in 16 bits that lose nothing by it: what a float16 file held in
 * that form, and computes in float, would take twice the space of that file otherwise.
 */
export function storeExactHalves(model: TfliteModel): TfliteModel {
  const made = new MadeOnce();
  const subgraphs = model.subgraphs.map((graph) => {
    const rewrite = new GraphRewrite(graph, made);
    const exact = [...convertible(graph, () => false, isExactHalf)];
    for (const index of exact) rewrite.store(index, 'float16', (tensor) => toHalf(tensor).tensor);
    return exact.length === 0 ? graph : rewrite.finish();
  });
  const isSame = subgraphs.every((graph, index) => graph === model.subgraphs[index]);
  return isSame ? model : compact({ ...model, subgraphs });
}

/** A tensor and an operator more take about 250 bytes of a file: fewer values save less than twice that. */
const MIN_ELEMENTS = 256;

/** These make a tensor whose size follows from the values: as constants they are known in time. */
const SIZED_BY_VALUES: readonly string[] = ['RANGE'];

/**
 * Constants to convert: those that nobody reads who is to stay as he is, and `canBe`. A filter goes with
 * its bias, of whatever size: XNNPACK of newer libraries leaves a layer with one of them in float32 to
 * kernels that take ten times as long (LiteRT 2.5).
 */
function convertible(
  graph: TfliteGraph,
  isExcluded: (operator: TfliteOperator) => boolean,
  canBe: (tensor: TfliteTensor) => boolean = () => true,
): ReadonlySet<number> {
  const kept = new Set(
    graph.operators
      .filter((one) => SIZED_BY_VALUES.includes(one.op) || isExcluded(one) || isHybrid(graph, one))
      .flatMap(({ inputs }) => inputs),
  );
  const can = (index: number) => {
    const tensor = graph.tensors[index];
    return tensor !== undefined && isFloatConstant(tensor) && !kept.has(index) && canBe(tensor);
  };
  const read = new Set(graph.operators.flatMap(({ inputs }) => inputs));
  const taken = new Set([...read].filter((index) => isLarge(graph.tensors[index]) && can(index)));
  const pairs = graph.operators.flatMap((operator) => pairOf(graph, operator));
  for (const [filter, bias] of pairs) if (taken.has(filter) && can(bias)) taken.add(bias);
  withoutHalfPairs(taken, pairs);
  return taken;
}

/** Where filter and bias stand. */
const FILTER_AND_BIAS: Readonly<Partial<Record<string, readonly [number, number]>>> = {
  CONV_2D: [1, 2],
  DEPTHWISE_CONV_2D: [1, 2],
  FULLY_CONNECTED: [1, 2],
  TRANSPOSE_CONV: [1, 3],
};

function pairOf(
  graph: TfliteGraph,
  { op, inputs }: TfliteOperator,
): readonly (readonly [number, number])[] {
  const places = FILTER_AND_BIAS[op];
  if (places === undefined) return [];
  const [filter, bias] = [inputs[places[0]] ?? -1, inputs[places[1]] ?? -1];
  const isPair = [filter, bias].every((index) => {
    const tensor = graph.tensors[index];
    return tensor !== undefined && isFloatConstant(tensor);
  });
  return isPair ? [[filter, bias]] : [];
}

/** One that leaves may leave another alone that shares a constant with it. */
function withoutHalfPairs(taken: Set<number>, pairs: readonly (readonly [number, number])[]): void {
  for (let before = -1; before !== taken.size;) {
    before = taken.size;
    for (const pair of pairs) {
      if (!pair.every((index) => taken.has(index))) for (const index of pair) taken.delete(index);
    }
  }
}

/**
 * Weights in 8 bits and activations in float: XNNPACK of newer libraries reads the bias of such an
 * operator when it takes the graph, before any DEQUANTIZE has run, and computes with what lies there.
 */
function isHybrid(graph: TfliteGraph, { inputs, outputs }: TfliteOperator): boolean {
  const typeOf = (index: number | undefined) => graph.tensors[index ?? -1]?.type;
  return inputs.some((index) => typeOf(index) === 'INT8') && typeOf(outputs[0]) === 'FLOAT32';
}

function isFloatConstant(tensor: TfliteTensor): boolean {
  return isPlainFloats(tensor) && !tensor.isVariable;
}

const isLarge = (tensor: TfliteTensor | undefined) =>
  tensor !== undefined && elementCount(tensor.shape) >= MIN_ELEMENTS;

function computesInFloat(graph: TfliteGraph, { inputs, outputs }: TfliteOperator): boolean {
  return [...inputs, ...outputs].some((index) => {
    const tensor = graph.tensors[index];
    return tensor !== undefined && isFloatType(tensor.type);
  });
}

const LARGEST_HALF = 65504;

/** Bits that float32 has behind those of float16; a smaller exponent leaves fewer, never more. */
const LOST_BITS = 0x1fff;

function isExactHalf(tensor: TfliteTensor): boolean {
  const values = floatData(tensor);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  if (bits.some((one) => (one & LOST_BITS) !== 0)) return false;
  const halves = floatData(toHalf(tensor).tensor);
  return values.every((value, at) => Object.is(value, halves[at]));
}

/** The nearest float16 values; finite ones stay finite, and what is not zero does not become zero. */
function toHalf(tensor: TfliteTensor): { readonly tensor: TfliteTensor; readonly above: number } {
  const values = floatData(tensor);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = Uint16Array.from(bits, halfBits);
  const above = values.reduce((count, value) => {
    const size = Math.abs(value);
    return size > LARGEST_HALF && size < Infinity ? count + 1 : count;
  }, 0);
  return {
    tensor: { ...tensor, type: 'FLOAT16', data: new Uint8Array(halves.buffer), quantization: null },
    above,
  };
}
