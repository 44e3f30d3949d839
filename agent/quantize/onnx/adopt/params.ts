import type { NodeProto, TensorProto } from '../../../model/onnx/generated/messages.ts';
import { intAttribute, opName, stringAttribute } from '../../../model/onnx/graph.ts';
import type { GraphIndex } from '../../../model/onnx/graph.ts';
import {
  DataType,
  elementCount,
  floatData,
  tensorData,
  tensorNumbers,
} from '../../../model/onnx/tensor.ts';
import { roundHalfEven } from '../../arithmetic.ts';

/** Scale and zero point of a QuantizeLinear or DequantizeLinear, where they are constants. */
export interface LinearParams {
  readonly scales: Float32Array;
  readonly zeroPoints: readonly number[];
  /** Element type of the integers. */
  readonly dataType: number;
  /** The axis that the scales lie on; undefined with one scale for all. */
  readonly axis: number | undefined;
}

/** Integers in the order of the tensor, and what they stand for. */
export interface StoredIntegers {
  readonly dims: readonly number[];
  readonly values: ArrayLike<number>;
  readonly params: LinearParams;
}

/** The ends of the types that integer kernels take. */
export const INTEGER_RANGE: ReadonlyMap<number, readonly [min: number, max: number]> = new Map([
  [DataType.UINT8, [0, 255]],
  [DataType.INT8, [-128, 127]],
]);

const DOMAIN = /^com\.microsoft\./;

/** Narrower than NodeProto, so that a node which is none keeps its own type. */
type Linear = NodeProto & { readonly opType: string };

export function isQuantize(node: NodeProto | undefined): node is Linear {
  return node !== undefined && opName(node).replace(DOMAIN, '') === 'QuantizeLinear';
}

export function isDequantize(node: NodeProto | undefined): node is Linear {
  return node !== undefined && opName(node).replace(DOMAIN, '') === 'DequantizeLinear';
}

/** Undefined where they are computed, in blocks, or of a type without arithmetic. */
export function paramsOf(node: NodeProto, index: GraphIndex): LinearParams | undefined {
  const scale = index.initializers.get(node.input[1] ?? '');
  if (scale?.dataType !== DataType.FLOAT || (intAttribute(node, 'block_size') ?? 0) !== 0) {
    return undefined;
  }
  const zeroPoint = index.initializers.get(node.input[2] ?? '');
  if (zeroPoint === undefined && (node.input[2] ?? '') !== '') return undefined;
  const dataType = zeroPoint?.dataType ?? defaultType(node, index);
  if (dataType === undefined) return undefined;
  const scales = floatData(scale);
  const single = scales.length === 1;
  if (!single && scale.dims.length !== 1) return undefined;
  const zeroPoints =
    zeroPoint === undefined ? Array<number>(scales.length).fill(0) : tensorNumbers(zeroPoint);
  const axis = single ? undefined : (intAttribute(node, 'axis') ?? 1);
  return { scales, zeroPoints, dataType, axis };
}

/** Without a zero point, the type is that of the integers, or uint8 where they are yet to be made. */
function defaultType(node: NodeProto, index: GraphIndex): number | undefined {
  if (isDequantize(node)) return index.initializers.get(node.input[0] ?? '')?.dataType;
  const named = intAttribute(node, 'output_dtype') ?? stringAttribute(node, 'output_dtype');
  return named === undefined ? DataType.UINT8 : undefined;
}

export function isScalar({ axis }: LinearParams): boolean {
  return axis === undefined;
}

const alike = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  a.length === b.length && Array.from(a).every((value, i) => value === b[i]);

export function sameParams(a: LinearParams, b: LinearParams): boolean {
  return (
    a.dataType === b.dataType &&
    a.axis === b.axis &&
    alike(a.scales, b.scales) &&
    alike(a.zeroPoints, b.zeroPoints)
  );
}

/** For each element of a tensor, the index of its scale. */
export function channelOf(
  dims: readonly number[],
  axis: number | undefined,
): (element: number) => number {
  if (axis === undefined) return () => 0;
  const at = axis < 0 ? axis + dims.length : axis;
  const channels = dims[at] ?? 1;
  const inner = elementCount(dims.slice(at + 1));
  return (element) => Math.floor(element / inner) % channels;
}

/** QuantizeLinear of a constant (ONNX operator, version 13): round half to even, then saturate. */
export function quantizeConstant(
  tensor: TensorProto,
  params: LinearParams,
  round: (value: number) => number = roundHalfEven,
): StoredIntegers {
  const [min, max] = INTEGER_RANGE.get(params.dataType) ?? [0, 0];
  const channel = channelOf(tensor.dims, params.axis);
  const values = Int32Array.from(floatData(tensor), (value, i) => {
    const c = channel(i);
    const q = round(Math.fround(value / (params.scales[c] ?? 1))) + (params.zeroPoints[c] ?? 0);
    return Math.min(Math.max(q, min), max);
  });
  return { dims: tensor.dims, values, params };
}

/** What integers stand for: (q - zero point) * scale, in float32. */
export function dequantizeConstant({ dims, values, params }: StoredIntegers): Float32Array {
  const channel = channelOf(dims, params.axis);
  return Float32Array.from(values, (q, i) => {
    const c = channel(i);
    return (q - (params.zeroPoints[c] ?? 0)) * (params.scales[c] ?? 1);
  });
}

/** The constant integers behind a tensor that a DequantizeLinear makes; undefined for all others. */
export function storedBehind(name: string, index: GraphIndex): StoredIntegers | undefined {
  const dequantize = index.producer.get(name);
  if (!isDequantize(dequantize)) return undefined;
  const params = paramsOf(dequantize, index);
  const tensor = index.initializers.get(dequantize.input[0] ?? '');
  if (params === undefined || tensor?.dataType !== params.dataType) return undefined;
  if (![DataType.INT8, DataType.UINT8, DataType.INT32].some((type) => type === params.dataType)) {
    return undefined;
  }
  const data = tensorData(tensor);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return undefined;
  return { dims: tensor.dims, values: data, params };
}

/** Whether one node reads a tensor, and nobody outside the graph does. */
export function isOnlyRead(name: string, { consumers, outputs }: GraphIndex): boolean {
  return consumers.get(name)?.length === 1 && !outputs.has(name);
}
