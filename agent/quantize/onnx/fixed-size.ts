import type { GraphProto } from '../../model/onnx/generated/messages.ts';
import { opName } from '../../model/onnx/graph.ts';
import type { GraphIndex } from '../../model/onnx/graph.ts';
import type { Statistics } from '../../model/statistics.ts';

/** Ops whose output has along each spatial axis what follows from the same axis of their input. */
const KEEPS_AXES = new Set([
  'Conv',
  'Relu',
  'Clip',
  'LeakyRelu',
  'Sigmoid',
  'MaxPool',
  'AveragePool',
  'BatchNormalization',
  'Concat',
  'Add',
  'Mul',
  'Sub',
  'Div',
  'Slice',
]);

/**
 * Whether a tensor has the same size along an axis at every run: all inputs of the model have fixed
 * sizes (but for the batch), or the axis goes back to a fixed one of an input.
 */
export function hasFixedSize(
  tensor: string,
  axis: number,
  graph: GraphProto,
  { index, statistics }: { readonly index: GraphIndex; readonly statistics: Statistics },
): boolean {
  const dims = new Map(
    graph.input.map(({ name = '', type }) => [name, type?.tensorType?.shape?.dim ?? []]),
  );
  const isFixed = (name: string, at: number) => (dims.get(name)?.[at]?.dimValue ?? 0) > 0;
  const given = [...dims.keys()].filter((name) => !index.initializers.has(name));
  const allFixed = given.every((name) =>
    dims.get(name)?.every((_, i) => i === 0 || isFixed(name, i)),
  );
  if (allFixed) return true;
  const rank = (name: string) => statistics.tensors.get(name)?.shape.length;
  let current = tensor;
  while (!dims.has(current)) {
    const maker = index.producer.get(current);
    if (maker === undefined || !KEEPS_AXES.has(opName(maker))) return false;
    const size = rank(current);
    const next = maker.input.find((name) => !index.initializers.has(name) && rank(name) === size);
    if (next === undefined) return false;
    current = next;
  }
  return isFixed(current, axis);
}
