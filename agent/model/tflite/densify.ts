import { ModelError } from '../errors.ts';
import type { DimensionMetadata as Dimension } from './generated/model.ts';
import { describeTensor, elementBits, elementCount } from './tensor.ts';
import type { SparsityParameters, TfliteTensor } from './types.ts';

/** Bytes of one unpacked constant: a small file could ask for any number. */
const MAX_DENSE_BYTES = 2 ** 30;

/**
 * The constant with all its zeros. How the format stores them (tensorflow/lite/schema, the comment at
 * SparsityParameters): the values in the order of a walk through the dimensions as `traversalOrder`
 * lists them, where a dimension beyond the tensor's rank is the inside of blocks that cut the
 * dimension `blockMap` names. A dense dimension is walked whole; of a sparse one, `arraySegments`
 * tells for each position of the walk so far which part of `arrayIndices` comes.
 * @throws ModelError when the parts do not fit each other
 */
export function densify(tensor: TfliteTensor): TfliteTensor {
  const { data, sparsity, shape } = tensor;
  if (sparsity === undefined) return tensor;
  const bits = elementBits(tensor.type);
  if (data === null || bits === undefined || bits % 8 !== 0) {
    throw bad(tensor, `cannot be unpacked: ${bits ?? 'no'} bits each`);
  }
  const bytes = bits / 8;
  const size = elementCount(shape) * bytes;
  if (!(size >= 0 && size <= MAX_DENSE_BYTES)) throw bad(tensor, `takes ${size} bytes unpacked`);
  const dense = new Uint8Array(size);
  let read = 0;
  for (const place of places(tensor, sparsity)) {
    if (read + bytes > data.length) throw bad(tensor, 'has fewer values than places');
    if (place >= 0) dense.set(data.subarray(read, read + bytes), place * bytes);
    read += bytes;
  }
  const { sparsity: _, ...rest } = tensor;
  return { ...rest, data: dense };
}

/** Index of each stored value in the dense tensor; -1 for the padding of a block. */
function* places(tensor: TfliteTensor, sparsity: SparsityParameters): Generator<number> {
  const { traversalOrder = [], blockMap = [], dimMetadata = [] } = sparsity;
  const rank = tensor.shape.length;
  const order = [...traversalOrder];
  if (order.length !== rank + blockMap.length || dimMetadata.length !== order.length) {
    throw bad(tensor, 'its dimensions do not fit its order of storage');
  }
  if (order.toSorted((a, b) => a - b).some((dim, index) => dim !== index)) {
    throw bad(tensor, `its order of storage names no dimension, or one twice`);
  }
  const blocks = blockSizes(tensor, order, dimMetadata, [...blockMap]);
  const strides = tensor.shape.map((_, dim) => elementCount(tensor.shape.slice(dim + 1)));
  const at = order.map(() => 0);

  function* walk(level: number, walked: number): Generator<number> {
    const dimension = dimMetadata[level];
    if (dimension === undefined) {
      yield placeOf(tensor, at, { blocks, blockMap: [...blockMap], strides });
      return;
    }
    for (const [index, next] of steps(tensor, dimension, walked)) {
      at[order[level] ?? 0] = index;
      yield* walk(level + 1, next);
    }
  }
  yield* walk(0, 0);
}

/** The indices along one dimension, and the position of the walk that each leads to. */
function* steps(
  tensor: TfliteTensor,
  { format, denseSize, arraySegments, arrayIndices }: Dimension,
  walked: number,
): Generator<readonly [index: number, next: number]> {
  if (format === 'DENSE') {
    for (let index = 0; index < denseSize; index++) yield [index, walked * denseSize + index];
    return;
  }
  const from = arraySegments?.values?.[walked];
  const to = arraySegments?.values?.[walked + 1];
  if (from === undefined || to === undefined) throw bad(tensor, 'its sparse parts are cut off');
  for (let next = from; next < to; next++) {
    const index = arrayIndices?.values?.[next];
    if (index === undefined) throw bad(tensor, 'its sparse parts are cut off');
    yield [index, next];
  }
}

/** How many of each dimension of the tensor lie inside one block. */
function blockSizes(
  tensor: TfliteTensor,
  order: readonly number[],
  dimensions: readonly Dimension[],
  blockMap: readonly number[],
): readonly number[] {
  const rank = tensor.shape.length;
  const sizes = tensor.shape.map(() => 1);
  blockMap.forEach((dim, block) => {
    const level = order.indexOf(rank + block);
    const size = dimensions[level]?.denseSize ?? 0;
    if (sizes[dim] === undefined || size <= 0) throw bad(tensor, 'its blocks have no size');
    sizes[dim] = size;
  });
  return sizes;
}

interface Layout {
  readonly blocks: readonly number[];
  readonly blockMap: readonly number[];
  readonly strides: readonly number[];
}

function placeOf(
  tensor: TfliteTensor,
  at: readonly number[],
  { blocks, blockMap, strides }: Layout,
): number {
  const rank = tensor.shape.length;
  let place = 0;
  for (let dim = 0; dim < rank; dim++) {
    const block = blockMap.indexOf(dim);
    const inside = block === -1 ? 0 : (at[rank + block] ?? 0);
    const index = (at[dim] ?? 0) * (blocks[dim] ?? 1) + inside;
    if (index >= (tensor.shape[dim] ?? 0)) return -1;
    place += index * (strides[dim] ?? 0);
  }
  return place;
}

function bad(tensor: TfliteTensor, what: string): ModelError {
  return new ModelError('BAD_TENSOR', `${describeTensor(tensor)}, stored sparsely: ${what}`);
}
