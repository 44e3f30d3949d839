/** A convolution along one axis. */
export interface Sliding {
  readonly size: number;
  readonly stride: number;
  /** Elements from the first to the last tap. */
  readonly reach: number;
}

/**
 * Whether the last window of a convolution with padding SAME ends before its input does. XNNPACK of
 * TensorFlow Lite takes what is left over for padding below zero, and computes nonsense from it, in
 * floats too: of every filter of more than one tap, while poolings are right (2.9, 2.14 and 2.21 were
 * tried; LiteRT 2.5 is right).
 */
export function endsShort({ size, stride, reach }: Sliding): boolean {
  return (Math.ceil(size / stride) - 1) * stride + reach < size;
}

/** Whether there is a size that it ends short for: each multiple of the stride, if any. */
export function mayEndShort({ stride, reach }: Omit<Sliding, 'size'>): boolean {
  return stride > reach;
}
