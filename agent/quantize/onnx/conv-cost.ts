/** A dense convolution as the matrix product that it is. */
export interface ProductShape {
  /** Output pixels: rows of the product. */
  readonly pixels: number;
  readonly inputs: number;
  readonly outputs: number;
  /** Kernel sizes, the last one along the pixels that lie side by side. */
  readonly kernel: readonly number[];
}

/**
 * Microseconds that onnxruntime's QLinearConv takes on one x86 core, fitted to 130 convolutions
 * (onnxruntime 1.30, AVX512-VNNI at 2.5 GHz; 12 % off in the mean). Only ratios are used, and they
 * follow from how the kernel works: the product is made in blocks of 4 by 16, copying pixels into a
 * matrix goes row by row, and copying and storing go byte by byte where channels do not fill words.
 */
export function convMicroseconds({ pixels, inputs, outputs, kernel }: ProductShape): number {
  const taps = size(kernel);
  const depth = inputs * taps;
  if (inputs === 1 && outputs === 1) return pixels * depth * DEPTHWISE_TAP;
  const rows = taps / (kernel.at(-1) ?? 1);
  const product = roundUp(depth, 4) * roundUp(outputs, 16) * 4e-6;
  const copying = taps === 1 ? 0 : depth * 3.4e-6 + rows * 3.4e-3;
  const unalignedIn = inputs % 4 === 0 ? 0 : 4e-3 + depth * 1.5e-5 + outputs * 2.1e-4;
  const storing = 9e-4 + outputs * 6.2e-5 + unalignedOut(depth, outputs);
  return 4 + pixels * (product + copying + unalignedIn + storing);
}

function unalignedOut(depth: number, outputs: number): number {
  if (outputs % 16 === 0) return 0;
  return outputs < 16 ? 2e-3 + depth * 4.2e-5 : 1e-3 + depth * 1.3e-5;
}

/** One channel in, one out counts as depthwise, whose kernel takes channels, not pixels, at once. */
const DEPTHWISE_TAP = 1.1e-3;

/** How many channels the depthwise kernel takes at once. */
export const DEPTHWISE_WIDTH = 16;

/**
 * The same for a depthwise convolution: a fixed price for each tap of a pixel and little for each
 * channel, but much where the channels do not fill vectors of 16 (72 channels took 2.6 times as long
 * as 80, 24 took 1.8 times as long as 32).
 */
export function depthwiseMicroseconds(pixels: number, channels: number, taps: number): number {
  const unaligned = channels % DEPTHWISE_WIDTH === 0 ? 0 : 2.4e-3;
  return 4 + pixels * taps * (1.2e-3 + channels * 4e-5 + unaligned);
}

/** The same for the float kernel, in blocks of 16 channels (NCHWc; an image's few are not padded). */
export function floatConvMicroseconds({ pixels, inputs, outputs, kernel }: ProductShape): number {
  const channels = inputs < 16 ? inputs : roundUp(inputs, 16);
  return 4 + pixels * size(kernel) * channels * roundUp(outputs, 16) * 1.9e-5;
}

function size(kernel: readonly number[]): number {
  return kernel.reduce((product, length) => product * length, 1);
}

function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}
