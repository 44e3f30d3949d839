/** A convolution along one axis. */
export interface Sliding {
  readonly size: number;
  readonly stride: number;
  /** Elements from the first to the last tap. */
  readonly reach: number;
}

/**
 * Whether the last window of a convolution with padding SAME ends before its input does. XNNPACK of
 * TensorFlow Lite 2.9 takes what is left over for padding below zero, and computes nonsense from it,
 * in floats too: of every filter of more than one tap, while poolings are right.
 */
export function endsShort({ size, stride, reach }: Sliding): boolean {
  return (Math.ceil(size / stride) - 1) * stride + reach < size;
}
