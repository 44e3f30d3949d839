import type { NodeProto, TensorProto } from '../../../model/onnx/generated/messages.ts';
import { intAttribute, intsAttribute, makeNode, opName } from '../../../model/onnx/graph.ts';
import type { GraphIndex } from '../../../model/onnx/graph.ts';
import type { Statistics } from '../../../model/statistics.ts';
import { DataType, floatData, makeTensor, tensorNumbers } from '../../../model/onnx/tensor.ts';
import { OP_TABLE } from '../op-table.ts';
import { endOf } from './say.ts';
import type { Say, Tools } from './say.ts';

/** The mean over all that is behind the channels has an integer kernel of its own. */
export const reduceMean: Say = (node, { index, statistics, unique, observe }) => {
  const { input, axes } = meanOf(node, index, statistics);
  const seen = statistics.tensors.get(input);
  const [output = ''] = node.output;
  const made = statistics.tensors.get(output);
  if (seen === undefined || made === undefined || seen.shape.length < 3) return undefined;
  // Others read it in a normalization, which the runtime knows as a whole.
  const readers = index.consumers.get(output) ?? [];
  if (!readers.some((reader) => OP_TABLE.has(opName(reader)))) return undefined;
  const rank = seen.shape.length;
  if (axes.size !== rank - 2 || axes.has(0) || axes.has(1)) return undefined;
  if (made.shape.length === rank) return [endOf(node, 'GlobalAveragePool', [input])];
  if (made.shape.length !== 2) return undefined;
  const middle = unique(`${output}_mean`);
  observe(middle, { ...made, shape: seen.shape.map((size, i) => (i < 2 ? size : 1)) });
  return [makeNode('GlobalAveragePool', [input], [middle]), endOf(node, 'Flatten', [middle])];
};

interface Mean {
  readonly input: string;
  readonly axes: ReadonlySet<number>;
}

/** What a node is the mean of, and over which axes; a mean of a mean over other axes is one mean. */
function meanOf(node: NodeProto, index: GraphIndex, statistics: Statistics): Mean {
  const [input = '', axesName = ''] = node.input;
  const listed = index.initializers.get(axesName);
  const given = (listed && tensorNumbers(listed)) ?? intsAttribute(node, 'axes') ?? [];
  const rank = statistics.tensors.get(input)?.shape.length ?? 0;
  // Without axes it is over all, the batch included.
  const axes = given.length === 0 ? [0, 1] : given.map((axis) => (axis < 0 ? axis + rank : axis));
  const maker = index.producer.get(input);
  if (maker === undefined || opName(maker) !== 'ReduceMean') return { input, axes: new Set(axes) };
  const before = meanOf(maker, index, statistics);
  if ((intAttribute(maker, 'keepdims') ?? 1) !== 0) {
    return { input: before.input, axes: new Set([...before.axes, ...axes]) };
  }
  const left = Array.from({ length: rank + before.axes.size }, (_, axis) => axis);
  const kept = left.filter((axis) => !before.axes.has(axis));
  return { input: before.input, axes: new Set([...before.axes, ...axes.map((i) => kept[i] ?? 0)]) };
}

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
