import type { TensorProto } from '../../../model/onnx/generated/messages.ts';
import { intAttribute, intsAttribute, makeNode, opName } from '../../../model/onnx/graph.ts';
import { DataType, floatData, makeTensor, tensorNumbers } from '../../../model/onnx/tensor.ts';
import { OP_TABLE } from '../op-table.ts';
import { endOf } from './say.ts';
import type { Say, Tools } from './say.ts';

/** The mean over all that is behind the channels has an integer kernel of its own. */
export const reduceMean: Say = (node, { index, statistics, unique, observe }) => {
  const [input = '', axesName = ''] = node.input;
  const seen = statistics.tensors.get(input);
  const listed = index.initializers.get(axesName);
  const axes = listed === undefined ? intsAttribute(node, 'axes') : tensorNumbers(listed);
  const rank = seen?.shape.length ?? 0;
  if (seen === undefined || axes === undefined || rank < 3) return undefined;
  const reduced = new Set(axes.map((axis) => (axis < 0 ? axis + rank : axis)));
  // Others read it in a normalization, which the runtime knows as a whole.
  const readers = index.consumers.get(node.output[0] ?? '') ?? [];
  if (!readers.some((reader) => OP_TABLE.has(opName(reader)))) return undefined;
  if (reduced.size !== rank - 2 || reduced.has(0) || reduced.has(1)) return undefined;
  if ((intAttribute(node, 'keepdims') ?? 1) !== 0)
    return [endOf(node, 'GlobalAveragePool', [input])];
  const made = statistics.tensors.get(node.output[0] ?? '');
  if (made === undefined) return undefined;
  const middle = unique(`${node.output[0] ?? ''}_mean`);
  const shape = seen.shape.map((size, i) => (i < 2 ? size : 1));
  observe(middle, { ...made, shape });
  return [makeNode('GlobalAveragePool', [input], [middle]), endOf(node, 'Flatten', [middle])];
};

/** x - c = x + (-c); a constant minus x would take two ops. */
export const sub: Say = (node, tools) => {
  const name = changed(node.input, tools, 'negative', (value) => -value);
  return name === undefined ? undefined : [endOf(node, 'Add', [node.input[0] ?? '', name])];
};

/** x / c = x * (1 / c), but for the last bit. */
export const div: Say = (node, tools) => {
  const name = changed(node.input, tools, 'inverse', (value) => 1 / value);
  return name === undefined ? undefined : [endOf(node, 'Mul', [node.input[0] ?? '', name])];
};

/** A copy of the second operand, a constant of float32 that stays finite. */
function changed(
  [left = '', right = '']: readonly string[],
  { index, unique, constant }: Tools,
  how: string,
  change: (value: number) => number,
): string | undefined {
  const tensor: TensorProto | undefined = index.initializers.get(right);
  if (tensor?.dataType !== DataType.FLOAT || index.initializers.has(left)) return undefined;
  const values = floatData(tensor).map(change);
  if (!values.every((value) => Number.isFinite(value))) return undefined;
  const name = unique(`${right}_${how}`);
  constant(makeTensor(name, DataType.FLOAT, tensor.dims, values));
  return name;
}
