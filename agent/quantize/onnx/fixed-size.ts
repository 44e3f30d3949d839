import type { GraphProto, NodeProto } from '../../model/onnx/generated/messages.ts';
import { opName } from '../../model/onnx/graph.ts';
import type { GraphIndex } from '../../model/onnx/graph.ts';
import type { Statistics } from '../../model/statistics.ts';

/**
 * Ops whose output has along each spatial axis what follows from the same axis of all their inputs
 * that are not constant. What depends on values (NonZero, computed slices and sizes) is not here.
 */
const KEEPS_AXES: ReadonlySet<string> = new Set([
  'Conv',
  'Relu',
  'Clip',
  'LeakyRelu',
  'PRelu',
  'Sigmoid',
  'MaxPool',
  'AveragePool',
  'BatchNormalization',
  'Concat',
  'Add',
  'Mul',
  'Sub',
  'Div',
]);

/** Ops whose output sizes depend on values. */
const SIZED_BY_VALUES: ReadonlySet<string> = new Set([
  'Compress',
  'If',
  'Loop',
  'NonMaxSuppression',
  'NonZero',
  'Scan',
  'StringSplit',
  'Unique',
]);

/** Ops whose sizes are given by further inputs, which may be computed. */
const SIZED_BY_INPUTS: ReadonlySet<string> = new Set([
  'ConstantOfShape',
  'Expand',
  'Pad',
  'Range',
  'Reshape',
  'Resize',
  'Slice',
  'Split',
  'Tile',
  'TopK',
]);

interface Known {
  readonly index: GraphIndex;
  readonly statistics: Statistics;
}

/**
 * Whether a tensor has the same size along an axis at every run: where all inputs of the graph have
 * fixed sizes (but for the batch) and no size on the way is computed from values; or where the axis
 * goes back to fixed ones of inputs. What a body captures has no size that is written down.
 */
export function hasFixedSize(
  tensor: string,
  axis: number,
  graph: GraphProto,
  known: Known,
): boolean {
  const dims = new Map(
    graph.input.map(({ name = '', type }) => [name, type?.tensorType?.shape?.dim ?? []]),
  );
  const given = [...dims].filter(([name]) => !known.index.initializers.has(name));
  const allFixed = given.every(
    ([, sizes]) =>
      sizes.length > 0 && sizes.every(({ dimValue = 0 }, i) => i === 0 || dimValue > 0),
  );
  if (given.length > 0 && allFixed && isSizedByInputs(tensor, dims, known.index)) return true;
  return goesBack(tensor, axis, dims, known);
}

type Dims = ReadonlyMap<string, readonly { readonly dimValue?: number | undefined }[]>;

/** Whether nothing on the way from the inputs of the graph has a size that depends on values. */
function isSizedByInputs(tensor: string, dims: Dims, index: GraphIndex): boolean {
  return everyMaker([tensor], index, (node, name) => {
    if (node === undefined) return dims.has(name) ? [] : undefined;
    if (SIZED_BY_VALUES.has(opName(node))) return undefined;
    const [first = '', ...others] = node.input;
    if (!SIZED_BY_INPUTS.has(opName(node))) return node.input;
    const sizes = opName(node) === 'ConstantOfShape' ? [first] : others;
    return areSizes(sizes, index) ? [first] : undefined;
  });
}

/** Whether tensors are computed from shapes and constants alone. */
function areSizes(names: readonly string[], index: GraphIndex): boolean {
  return everyMaker(names, index, (node) => {
    if (node === undefined) return undefined;
    return ['Shape', 'Size'].includes(opName(node)) ? [] : node.input;
  });
}

/** Whether the axis of a tensor is that of inputs whose size along it is written down. */
function goesBack(tensor: string, axis: number, dims: Dims, { index, statistics }: Known): boolean {
  const rank = (name: string) => statistics.tensors.get(name)?.shape.length;
  return everyMaker([tensor], index, (node, name) => {
    if (node === undefined) return (dims.get(name)?.[axis]?.dimValue ?? 0) > 0 ? [] : undefined;
    if (!KEEPS_AXES.has(opName(node))) return undefined;
    // A scalar or a vector is spread over the axes of the others; of what has no rank nobody knows.
    const same = node.input.filter(
      (one) => !index.initializers.has(one) && (rank(one) ?? rank(name)) === rank(name),
    );
    return same.length === 0 ? undefined : same;
  });
}

/**
 * Walks back from tensors: `next` says which ones to look at in turn, or undefined for no. It gets no
 * node for what no node of this graph makes.
 */
function everyMaker(
  names: readonly string[],
  index: GraphIndex,
  next: (node: NodeProto | undefined, name: string) => readonly string[] | undefined,
): boolean {
  const seen = new Set<string>();
  const open = [...names];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (name === '' || seen.has(name) || index.initializers.has(name)) continue;
    seen.add(name);
    const more = next(index.producer.get(name), name);
    if (more === undefined) return false;
    open.push(...more);
  }
  return true;
}
