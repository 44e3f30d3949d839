import type { NodeProto } from '../../../model/onnx/generated/messages.ts';
import { intAttribute, intsAttribute, opName } from '../../../model/onnx/graph.ts';
import type { GraphIndex } from '../../../model/onnx/graph.ts';
import { tensorNumbers } from '../../../model/onnx/tensor.ts';

/** For each element of a tensor, which element of the traced tensor it is. */
export interface Traced {
  readonly shape: readonly number[];
  readonly from: Int32Array;
}

type Step = (input: Traced, node: NodeProto, index: GraphIndex) => readonly Traced[] | undefined;

const STEPS: ReadonlyMap<string, Step> = new Map<string, Step>([
  ['Reshape', (x, node, index) => one(reshape(x, constant(node, 1, index)))],
  ['Transpose', (x, node) => [transpose(x, intsAttribute(node, 'perm'))]],
  ['Gather', (x, node, index) => one(gather(x, node, index))],
  ['Slice', (x, node, index) => one(slice(x, node, index))],
  ['Split', split],
  ['Squeeze', (x, node, index) => one(squeeze(x, constant(node, 1, index)))],
  ['Unsqueeze', (x, node, index) => one(unsqueeze(x, constant(node, 1, index)))],
]);

/** Ops that only move elements, to places that constants tell. */
export const movesOnly = (node: NodeProto): boolean => STEPS.has(opName(node));

/** Every element of a tensor as itself. */
export function traceFrom(shape: readonly number[]): Traced {
  const count = shape.reduce((product, size) => product * size, 1);
  return { shape, from: Int32Array.from({ length: count }, (_, i) => i) };
}

/** What such a node makes of its first input, by output; undefined where that cannot be told. */
export function traceThrough(
  input: Traced,
  node: NodeProto,
  index: GraphIndex,
): readonly Traced[] | undefined {
  return STEPS.get(opName(node))?.(input, node, index);
}

const one = (made: Traced | undefined) => made && [made];

function constant(node: NodeProto, position: number, index: GraphIndex): number[] | undefined {
  const tensor = index.initializers.get(node.input[position] ?? '');
  return tensor === undefined ? undefined : tensorNumbers(tensor);
}

function reshape({ shape, from }: Traced, wanted: readonly number[] | undefined) {
  if (wanted === undefined) return undefined;
  const copied = wanted.map((size, i) => (size === 0 ? (shape[i] ?? 0) : size));
  const known = copied.reduce((product, size) => (size === -1 ? product : product * size), 1);
  const sizes = copied.map((size) => (size === -1 ? from.length / known : size));
  const count = sizes.reduce((product, size) => product * size, 1);
  return count === from.length ? { shape: sizes, from } : undefined;
}

function transpose({ shape, from }: Traced, perm = shape.map((_, i) => shape.length - 1 - i)) {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  const sizes = perm.map((axis) => shape[axis] ?? 1);
  const steps = perm.map((axis) => strides[axis] ?? 0);
  const at = sizes.map(() => 0);
  let offset = 0;
  const moved = new Int32Array(from.length);
  for (let i = 0; i < moved.length; i++) {
    moved[i] = from[offset] ?? 0;
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      const next = (at[axis] ?? 0) + 1;
      offset += steps[axis] ?? 0;
      if (next < (sizes[axis] ?? 1)) {
        at[axis] = next;
        break;
      }
      offset -= next * (steps[axis] ?? 0);
      at[axis] = 0;
    }
  }
  return { shape: sizes, from: moved };
}

/** The elements at some positions of an axis. */
function pick({ shape, from }: Traced, axis: number, positions: readonly number[]): Traced {
  const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const block = inner * (shape[axis] ?? 1);
  const picked = new Int32Array((from.length / block) * positions.length * inner);
  let to = 0;
  for (let start = 0; start < from.length; start += block) {
    for (const position of positions) {
      const at = start + position * inner;
      picked.set(from.subarray(at, at + inner), to);
      to += inner;
    }
  }
  return { shape: shape.map((size, i) => (i === axis ? positions.length : size)), from: picked };
}

const positive = (value: number, size: number) => (value < 0 ? value + size : value);

function gather(x: Traced, node: NodeProto, index: GraphIndex): Traced | undefined {
  const tensor = index.initializers.get(node.input[1] ?? '');
  const axis = positive(intAttribute(node, 'axis') ?? 0, x.shape.length);
  if (tensor === undefined || tensor.dims.length > 1) return undefined;
  const size = x.shape[axis] ?? 0;
  const picked = pick(
    x,
    axis,
    tensorNumbers(tensor).map((position) => positive(position, size)),
  );
  if (tensor.dims.length === 1) return picked;
  return { ...picked, shape: picked.shape.filter((_, i) => i !== axis) };
}

function slice(x: Traced, node: NodeProto, index: GraphIndex): Traced | undefined {
  const [starts, ends] = [constant(node, 1, index), constant(node, 2, index)];
  if (starts === undefined || ends === undefined) return undefined;
  const axes = (node.input[3] ?? '') === '' ? starts.map((_, i) => i) : constant(node, 3, index);
  const steps = (node.input[4] ?? '') === '' ? starts.map(() => 1) : constant(node, 4, index);
  if (axes === undefined || steps === undefined || steps.some((step) => step <= 0))
    return undefined;
  return axes.reduce((current, given, i) => {
    const axis = positive(given, x.shape.length);
    const size = x.shape[axis] ?? 0;
    const start = Math.max(positive(starts[i] ?? 0, size), 0);
    const end = Math.min(positive(ends[i] ?? 0, size), size);
    const step = steps[i] ?? 1;
    const count = Math.max(Math.ceil((end - start) / step), 0);
    return pick(
      current,
      axis,
      Array.from({ length: count }, (_, n) => start + n * step),
    );
  }, x);
}

function split(x: Traced, node: NodeProto, index: GraphIndex): readonly Traced[] | undefined {
  const axis = positive(intAttribute(node, 'axis') ?? 0, x.shape.length);
  const size = x.shape[axis] ?? 0;
  const each = Math.ceil(size / node.output.length);
  const named = (node.input[1] ?? '') !== '';
  const sizes = named
    ? constant(node, 1, index)
    : node.output.map((_, i) => Math.min(each, size - i * each));
  let start = 0;
  return sizes?.map((length) => {
    const positions = Array.from({ length }, (_, n) => start + n);
    start += length;
    return pick(x, axis, positions);
  });
}

function squeeze({ shape, from }: Traced, axes: readonly number[] | undefined) {
  const gone = axes?.map((axis) => positive(axis, shape.length));
  const kept = shape.filter((size, i) => (gone === undefined ? size !== 1 : !gone.includes(i)));
  return { shape: kept, from };
}

function unsqueeze({ shape, from }: Traced, axes: readonly number[] | undefined) {
  if (axes === undefined) return undefined;
  const rank = shape.length + axes.length;
  const added = new Set(axes.map((axis) => positive(axis, rank)));
  const rest = [...shape];
  const sizes = Array.from({ length: rank }, (_, i) => (added.has(i) ? 1 : (rest.shift() ?? 1)));
  return { shape: sizes, from };
}
