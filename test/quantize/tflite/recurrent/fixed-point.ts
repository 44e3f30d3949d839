/*
 * How TensorFlow Lite's kernels multiply by real numbers (kernels/internal/common.h and
 * quantization_util.cc): a factor of 31 bits, and a shift; every step rounds.
 */

export interface Multiplier {
  readonly factor: bigint;
  /** To the left where positive. */
  readonly shift: number;
}

/** QuantizeMultiplier */
export function multiplierOf(real: number): Multiplier {
  let shift = Math.floor(Math.log2(real)) + 1;
  let factor = Math.round((real / 2 ** shift) * 2 ** 31);
  if (factor === 2 ** 31) [factor, shift] = [factor / 2, shift + 1];
  return { factor: BigInt(factor), shift };
}

/** MultiplyByQuantizedMultiplier */
export function scaled(value: number, { factor, shift }: Multiplier): number {
  const product = BigInt(value) * 2n ** BigInt(Math.max(shift, 0)) * factor;
  // SaturatingRoundingDoublingHighMul: division cuts towards zero, after half a step away from it.
  const nudge = product >= 0n ? 2n ** 30n : 1n - 2n ** 30n;
  return roundedShift(Number((product + nudge) / 2n ** 31n), Math.max(-shift, 0));
}

/** RoundingDivideByPOT: halves go away from zero. */
export function roundedShift(value: number, bits: number): number {
  const size = Math.floor(Math.abs(value) / 2 ** bits + 0.5);
  return value < 0 ? -size : size;
}

export const int16 = (value: number) => Math.min(Math.max(value, -32768), 32767);
export const int8 = (value: number) => Math.min(Math.max(value, -128), 127);
