import { sizeOf } from '../runtime/feeds.ts';
import type { TensorDescription } from '../runtime/types.ts';

/**
 * Values that may leave the runtime in one run, unless a single tensor is larger. Copies of several
 * runs wait for the garbage collector.
 */
export const MOST_EXPOSED_BYTES = 6 * 1024 * 1024;

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

/**
 * Tensors in groups that stay below `least` bytes or, where it is more, the size of the largest tensor;
 * in their order: those near each other in the graph are computed from the same part of it. A tensor
 * of unknown size is alone.
 */
export function groupBySize(
  tensors: readonly TensorDescription[],
  least = MOST_EXPOSED_BYTES,
): readonly (readonly TensorDescription[])[] {
  const limit = Math.max(least, ...tensors.map((tensor) => bytesOf(tensor) ?? 0));
  const groups: TensorDescription[][] = [];
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

function bytesOf({ dtype, shape }: TensorDescription): number | undefined {
  const sizes = shape.filter((size) => typeof size === 'number' && size >= 0).map(Number);
  if (sizes.length < shape.length) return undefined;
  return sizeOf(sizes) * (FLOAT_BYTES[dtype] ?? 0);
}
