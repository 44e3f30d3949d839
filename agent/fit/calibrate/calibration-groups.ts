import { sizeOf } from '../../runtime/feeds.ts';
import type { TensorDescription } from '../../runtime/types.ts';

/**
 * Values that may leave the runtime in one run, unless a single tensor is larger. Each run makes a copy
 * of them that waits for the garbage collector, whether or not a place for it is given.
 */
export const MOST_EXPOSED_BYTES = 8 * 2 ** 20;
/** Values of a tensor in one sample that its histogram counts: more say hardly more of the shares. */
const MOST_COUNTED = 2 ** 17;

const FLOAT_BYTES: Partial<Record<TensorDescription['dtype'], number>> = {
  float16: 2,
  float32: 4,
  float64: 8,
};

/** Whether an observer looks at tensors of this type. */
export function isFloat(dtype: TensorDescription['dtype']): boolean {
  return FLOAT_BYTES[dtype] !== undefined;
}

/** Whether the runtime can reduce the tensor: it has no such kernels for halves, nor for scalars. */
export function isReducible({ dtype, shape }: TensorDescription): boolean {
  return dtype === 'float32' && shape.length > 0;
}

/** A tensor of which a run hands out every so manieth value. */
export interface SampledTensor extends TensorDescription {
  readonly every: number;
  /** What these values take, as far as it is known. */
  readonly bytes: number | undefined;
}

/**
 * How many of a tensor's values are to be looked at: all of `count`, or evenly chosen ones of all
 * channels, rows and columns, for which the step shares no factor with any of the sizes.
 */
export function sampleValues(
  tensor: TensorDescription,
  count: number | undefined,
  most = MOST_COUNTED,
): SampledTensor {
  if (count === undefined) return { ...tensor, every: 1, bytes: undefined };
  let every = Math.max(1, Math.ceil(count / most));
  while (every > 1 && commonFactor(every, count) > 1) every += 1;
  return { ...tensor, every, bytes: Math.ceil(count / every) * (FLOAT_BYTES[tensor.dtype] ?? 0) };
}

function commonFactor(a: number, b: number): number {
  return b === 0 ? a : commonFactor(b, a % b);
}

/**
 * Tensors in groups that stay below `least` bytes or, where it is more, the size of the largest tensor;
 * in their order: those near each other in the graph are computed from the same part of it. A tensor
 * of unknown size is alone.
 */
export function groupBySize<T extends TensorDescription>(
  tensors: readonly T[],
  least = MOST_EXPOSED_BYTES,
  bytesOf: (tensor: T) => number | undefined = sizeInBytes,
): readonly (readonly T[])[] {
  const limit = Math.max(least, ...tensors.map((tensor) => bytesOf(tensor) ?? 0));
  const groups: T[][] = [];
  let room = 0;
  for (const tensor of tensors) {
    const bytes = bytesOf(tensor) ?? limit;
    const last = groups.at(-1);
    if (last === undefined || bytes > room) {
      groups.push([tensor]);
      room = limit - bytes;
    } else {
      last.push(tensor);
      room -= bytes;
    }
  }
  return groups;
}

function sizeInBytes(tensor: TensorDescription): number | undefined {
  const count = valuesIn(tensor);
  return count === undefined ? undefined : count * (FLOAT_BYTES[tensor.dtype] ?? 0);
}

/** How many values a tensor of known shape has. */
export function valuesIn({ shape }: Pick<TensorDescription, 'shape'>): number | undefined {
  const sizes = shape.filter((size) => typeof size === 'number' && size >= 0).map(Number);
  return sizes.length < shape.length ? undefined : sizeOf(sizes);
}
