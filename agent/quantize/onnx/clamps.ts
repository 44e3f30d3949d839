import type { NodeProto } from '../../model/onnx/generated/messages.ts';
import { floatAttribute, opName } from '../../model/onnx/graph.ts';
import type { GraphIndex } from '../../model/onnx/graph.ts';
import { tensorNumbers } from '../../model/onnx/tensor.ts';
import { representable } from '../arithmetic.ts';
import type { QuantParams } from '../arithmetic.ts';

interface Interval {
  readonly min: number;
  readonly max: number;
}

/** The interval that a Relu or Clip with constant bounds lets through. */
export function clampBounds(node: NodeProto, index: GraphIndex): Interval | undefined {
  const op = opName(node);
  if (op === 'Relu') return { min: 0, max: Infinity };
  if (op !== 'Clip') return undefined;
  const min = bound(node, 1, 'min', -Infinity, index);
  const max = bound(node, 2, 'max', Infinity, index);
  return min === undefined || max === undefined ? undefined : { min, max };
}

function bound(
  node: NodeProto,
  position: number,
  attribute: string,
  absent: number,
  index: GraphIndex,
): number | undefined {
  const name = node.input[position] ?? '';
  if (name === '') return floatAttribute(node, attribute) ?? absent;
  const tensor = index.initializers.get(name);
  return tensor === undefined ? undefined : (tensorNumbers(tensor)[0] ?? absent);
}

/** Whether values stored with these parameters are within the bounds anyway. */
export function isSuperfluous(bounds: Interval, params: QuantParams): boolean {
  const { min, max } = representable(params);
  // Half a step of slack: a value that rounds to the bound is the bound.
  const slack = params.scale / 2;
  return min >= bounds.min - slack && max <= bounds.max + slack;
}
