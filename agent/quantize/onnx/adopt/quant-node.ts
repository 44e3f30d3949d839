import type { NodeProto, TensorProto } from '../../../model/onnx/generated/messages.ts';
import { intAttribute, nodeLabel, opName, stringAttribute } from '../../../model/onnx/graph.ts';
import type { GraphIndex } from '../../../model/onnx/graph.ts';
import { DataType, tensorNumbers } from '../../../model/onnx/tensor.ts';
import { QuantizeError } from '../../errors.ts';
import type { LinearParams } from './params.ts';

/** The widest that has integer kernels. */
const MOST_BITS = 8;

/** A Quant node: y = (clamp(round(x / scale + zeroPoint), min, max) - zeroPoint) * scale. */
export interface Quant {
  readonly node: NodeProto;
  readonly scale: TensorProto;
  readonly zeroPoint: TensorProto | undefined;
  /** The ends of the integers. */
  readonly min: number;
  readonly max: number;
  /** Undefined for -1 and 1 by sign, which is no rounding. */
  readonly rounding: string | undefined;
}

/**
 * Reads a Quant or BipolarQuant (qonnx, docs/qonnx-custom-ops; Brevitas writes the same).
 * @throws QuantizeError where it is something that 8-bit integers cannot hold
 */
export function readQuant(node: NodeProto, { initializers }: GraphIndex): Quant {
  const constant = (position: number, what: string): TensorProto => {
    const tensor = initializers.get(node.input[position] ?? '');
    if (tensor?.dataType !== DataType.FLOAT) throw refused(node, `its ${what} is not a constant`);
    return tensor;
  };
  const scale = constant(1, 'scale');
  if (!tensorNumbers(scale).every((value) => value > 0 && value < Infinity)) {
    throw refused(node, 'its scale is not positive');
  }
  if (opName(node).endsWith('.BipolarQuant')) {
    return { node, scale, zeroPoint: undefined, min: -1, max: 1, rounding: undefined };
  }
  const zeroPoint = constant(2, 'zero point');
  if (!tensorNumbers(zeroPoint).every(Number.isInteger)) {
    throw refused(node, 'its zero point is no integer');
  }
  const ends = endsOf(node, tensorNumbers(constant(3, 'bit width')));
  const rounding = (stringAttribute(node, 'rounding_mode') ?? 'ROUND').toUpperCase();
  return { node, scale, zeroPoint, ...ends, rounding };
}

function endsOf(node: NodeProto, widths: readonly number[]): { min: number; max: number } {
  const [bits = 0] = widths;
  if (widths.some((other) => other !== bits)) throw refused(node, 'it has more than one bit width');
  if (!Number.isInteger(bits) || bits < 1 || bits > MOST_BITS) {
    throw refused(node, `${bits} bits; integer kernels take whole widths from 1 to ${MOST_BITS}`);
  }
  const narrow = (intAttribute(node, 'narrow') ?? 0) !== 0 ? 1 : 0;
  const isSigned = (intAttribute(node, 'signed') ?? 1) !== 0;
  const half = 2 ** (bits - 1);
  return isSigned ? { min: narrow - half, max: half - 1 } : { min: 0, max: 2 * half - 1 - narrow };
}

/**
 * Scales and zero points along the axis that the scale's shape names. The axis counts from the end,
 * as shapes broadcast.
 */
export function scalesOf({ node, scale, zeroPoint }: Quant): Omit<LinearParams, 'dataType'> {
  const scales = Float32Array.from(tensorNumbers(scale));
  const zeros = zeroPoint === undefined ? [0] : tensorNumbers(zeroPoint);
  if (zeros.length !== 1 && zeros.length !== scales.length) {
    throw refused(node, 'its zero points have another shape than its scales');
  }
  const zeroPoints = Array.from(scales, (_, c) => zeros[zeros.length === 1 ? 0 : c] ?? 0);
  const long = scale.dims.flatMap((dim, axis) => (dim === 1 ? [] : [axis - scale.dims.length]));
  if (long.length > 1) throw refused(node, 'its scales lie along more than one axis');
  return { scales, zeroPoints, axis: long[0] };
}

export function refused(node: NodeProto, why: string): QuantizeError {
  const message = `${opName(node)} '${nodeLabel(node)}' cannot be converted: ${why}`;
  return new QuantizeError('NOT_CONVERTIBLE', message);
}
