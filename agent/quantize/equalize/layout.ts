import type { Variables } from './variables.ts';

/**
 * Which variable scales which part of a tensor: an array of variables that broadcasts over it. An
 * axis of length 1 means that the factor is the same all along that axis.
 */
export interface Layout {
  readonly dims: readonly number[];
  /** Row-major over `dims`. */
  readonly ids: Int32Array;
}

export const sizeOf = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);

/** Variables along one axis of a tensor of `rank` axes. */
export function along(rank: number, axis: number, ids: Int32Array): Layout {
  return { dims: Array.from({ length: rank }, (_, k) => (k === axis ? ids.length : 1)), ids };
}

/** Whether the factor changes along this axis. */
export function varies({ dims }: Layout, axis: number): boolean {
  return (dims[axis] ?? 1) > 1;
}

/** The axis along which alone the factor changes; undefined when there are several or none. */
export function onlyAxis({ dims }: Layout): number | undefined {
  const axes = dims.flatMap((dim, axis) => (dim > 1 ? [axis] : []));
  return axes.length === 1 ? axes[0] : undefined;
}

/** The same for a tensor of more axes, which are added in front. */
export function lift({ dims, ids }: Layout, rank: number): Layout {
  return { dims: [...Array<number>(Math.max(rank - dims.length, 0)).fill(1), ...dims], ids };
}

function stridesOf(dims: readonly number[]): number[] {
  return dims.map((dim, axis) => (dim === 1 ? 0 : sizeOf(dims.slice(axis + 1))));
}

/** For every element of an array of `dims`, the position in `source` that broadcasts to it. */
export function positions(source: readonly number[], dims: readonly number[]): Int32Array {
  const strides = stridesOf(source);
  let found = Int32Array.of(0);
  for (const [axis, dim] of dims.entries()) {
    const stride = strides[axis] ?? 0;
    const next = new Int32Array(found.length * dim);
    for (let i = 0, at = 0; i < found.length; i++) {
      for (let k = 0; k < dim; k++) next[at++] = (found[i] ?? 0) + k * stride;
    }
    found = next;
  }
  return found;
}

/** Written out along some axes. */
export function expand({ dims, ids }: Layout, to: readonly number[]): Layout {
  return { dims: to, ids: positions(dims, to).map((at) => ids[at] ?? 0) };
}

export function transpose({ dims, ids }: Layout, order: readonly number[]): Layout {
  const strides = stridesOf(dims);
  const moved = order.map((axis) => dims[axis] ?? 1);
  let found = Int32Array.of(0);
  for (const [k, dim] of moved.entries()) {
    const stride = strides[order[k] ?? 0] ?? 0;
    found = Int32Array.from({ length: found.length * dim }, (_, i) => {
      return (found[Math.floor(i / dim)] ?? 0) + (i % dim) * stride;
    });
  }
  return { dims: moved, ids: found.map((at) => ids[at] ?? 0) };
}

/** Some entries of an axis along which the factor changes. */
export function select(
  { dims, ids }: Layout,
  axis: number,
  entries: readonly number[],
): Layout | undefined {
  const length = dims[axis] ?? 1;
  if (entries.some((entry) => entry < 0 || entry >= length)) return undefined;
  const inner = sizeOf(dims.slice(axis + 1));
  const outer = sizeOf(dims.slice(0, axis));
  const taken = new Int32Array(outer * entries.length * inner);
  let at = 0;
  for (let o = 0; o < outer; o++) {
    for (const entry of entries) {
      for (let i = 0; i < inner; i++) taken[at++] = ids[(o * length + entry) * inner + i] ?? 0;
    }
  }
  return { dims: dims.map((dim, k) => (k === axis ? entries.length : dim)), ids: taken };
}

/** Puts layouts behind each other along an axis; the other axes have the same lengths. */
export function concat(parts: readonly Layout[], axis: number): Layout {
  const [first] = parts;
  const dims = first?.dims ?? [];
  const outer = sizeOf(dims.slice(0, axis));
  const pieces: number[] = [];
  for (let o = 0; o < outer; o++) {
    for (const { ids } of parts) {
      const size = ids.length / outer;
      pieces.push(...ids.subarray(o * size, (o + 1) * size));
    }
  }
  const total = parts.reduce((sum, part) => sum + (part.dims[axis] ?? 1), 0);
  return { dims: dims.map((dim, k) => (k === axis ? total : dim)), ids: Int32Array.from(pieces) };
}

/** Makes both have the same factors, broadcasting; returns what holds for their sum. */
export function unify(a: Layout, b: Layout, variables: Variables): Layout | undefined {
  const rank = Math.max(a.dims.length, b.dims.length);
  const [left, right] = [lift(a, rank), lift(b, rank)];
  const dims = left.dims.map((dim, axis) => Math.max(dim, right.dims[axis] ?? 1));
  const fits = ({ dims: own }: Layout) => own.every((dim, k) => dim === 1 || dim === dims[k]);
  if (!fits(left) || !fits(right)) return undefined;
  const [x, y] = [expand(left, dims), expand(right, dims)];
  x.ids.forEach((id, i) => variables.join(id, y.ids[i] ?? id));
  return x;
}

/**
 * The layout after a reshape from one shape to another, which keeps the order of the elements: axes
 * are matched in blocks of the same size. Undefined when the shapes have different sizes.
 */
export function reshape(
  layout: Layout,
  from: readonly number[],
  to: readonly number[],
): Layout | undefined {
  const written: number[] = [];
  const dims: number[] = [];
  for (let i = 0, j = 0; i < from.length || j < to.length;) {
    const [start, begin] = [i, j];
    let size = i < from.length ? (from[i++] ?? 1) : 1;
    let other = j < to.length ? (to[j++] ?? 1) : 1;
    while (size !== other) {
      if (size < other && i < from.length) size *= from[i++] ?? 1;
      else if (other < size && j < to.length) other *= to[j++] ?? 1;
      else return undefined;
    }
    const constant = layout.dims.slice(start, i).every((dim) => dim === 1);
    written.push(...from.slice(start, i).map((dim) => (constant ? 1 : dim)));
    dims.push(...to.slice(begin, j).map((dim) => (constant ? 1 : dim)));
  }
  return { dims, ids: expand(layout, written).ids };
}
