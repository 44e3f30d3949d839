import { convMicroseconds, depthwiseMicroseconds } from './conv-cost.ts';
import { isDepthwise } from './conv-shape.ts';
import type { ConvAxis, ConvShape } from './conv-shape.ts';

/**
 * A convolution of few channels leaves most of a vector unit idle. With channels innermost, as the
 * integer kernel keeps them, n neighbouring pixels of c channels are one pixel of n * c channels
 * without moving a byte; so the same sums can be had from a convolution of more channels over fewer
 * pixels, with weights repeated at their places and zeros elsewhere. A depthwise convolution of few
 * channels becomes a full one so.
 */
export interface PixelFold {
  /** The spatial axis that is folded; all behind it have size 1. */
  readonly axis: number;
  /** Neighbouring input pixels in one. */
  readonly pixels: number;
  /** Neighbouring output pixels in one. */
  readonly outputs: number;
  /** Size of the kernel along the axis after folding; its stride and dilation are 1. */
  readonly kernel: number;
  readonly begin: number;
  readonly end: number;
  readonly shape: ConvShape;
}

const OUTPUTS_AT_ONCE = [1, 2, 4, 8];
/** Less gain than a tenth is within the error of the cost estimate. */
const WORTHWHILE_SHARE = 0.9;
/** Reshaping takes time of its own. */
const WORTHWHILE_MICROSECONDS = 8;
/** Zeros are stored, too: never more than this many. */
const MOST_ADDED_WEIGHTS = 32 * 1024;

/** The fold that saves most time; undefined where none is worthwhile. */
export function planFold(shape: ConvShape): PixelFold | undefined {
  const plain = integerMicroseconds(shape);
  let best: PixelFold | undefined;
  let least = Math.min(plain * WORTHWHILE_SHARE, plain - WORTHWHILE_MICROSECONDS);
  for (const fold of possibleFolds(shape)) {
    const cost = integerMicroseconds(foldedShape(fold));
    if (cost < least && addedWeights(fold) <= MOST_ADDED_WEIGHTS) [best, least] = [fold, cost];
  }
  return best;
}

/** Every fold at which the sizes divide. */
export function possibleFolds(shape: ConvShape): PixelFold[] {
  const axis = innermostAxis(shape.axes);
  const line = shape.axes[axis];
  if ((shape.groups !== 1 && !isDepthwise(shape)) || line === undefined) return [];
  return OUTPUTS_AT_ONCE.flatMap((outputs) => foldBy(outputs, line, axis, shape) ?? []);
}

/** The last axis that has more than one pixel: pixels along it lie side by side in memory. */
function innermostAxis(axes: readonly ConvAxis[]): number {
  return axes.findLastIndex(({ input, output, kernel }) => input > 1 || output > 1 || kernel > 1);
}

function foldBy(
  outputs: number,
  line: ConvAxis,
  axis: number,
  shape: ConvShape,
): PixelFold | undefined {
  const pixels = line.stride * outputs;
  if (pixels === 1 || line.input % pixels !== 0 || line.output % outputs !== 0) return undefined;
  const first = Math.floor(-line.begin / pixels);
  const reach = line.stride * (outputs - 1) + (line.kernel - 1) * line.dilation - line.begin;
  const kernel = Math.floor(reach / pixels) - first + 1;
  const begin = -first;
  const end = line.output / outputs - 1 + kernel - begin - line.input / pixels;
  return end < 0 ? undefined : { axis, pixels, outputs, kernel, begin, end, shape };
}

/** The convolution after folding. */
export function foldedShape({
  axis,
  pixels,
  outputs,
  kernel,
  begin,
  end,
  shape,
}: PixelFold): ConvShape {
  const axes = shape.axes.map((line, i) =>
    i === axis
      ? {
          input: line.input / pixels,
          output: line.output / outputs,
          kernel,
          stride: 1,
          dilation: 1,
          begin,
          end,
        }
      : line,
  );
  const { inputs } = shape;
  return { groups: 1, inputs: inputs * pixels, outputs: shape.outputs * outputs, axes };
}

/** Dimensions of its weights. */
export function foldedDims(fold: PixelFold): number[] {
  const { inputs, outputs, axes } = foldedShape(fold);
  return [outputs, inputs, ...axes.map(({ kernel }) => kernel)];
}

/** What a full or a depthwise convolution takes in its integer kernel, as it is. */
export function integerMicroseconds(shape: ConvShape): number {
  const { inputs, outputs, axes } = shape;
  const pixels = axes.reduce((product, { output }) => product * output, 1);
  const kernel = axes.map((axis) => axis.kernel);
  if (!isDepthwise(shape)) return convMicroseconds({ pixels, inputs, outputs, kernel });
  const taps = kernel.reduce((product, length) => product * length, 1);
  return depthwiseMicroseconds(pixels, inputs, taps);
}

function weightCount({ groups, inputs, outputs, axes }: ConvShape): number {
  return axes.reduce((product, { kernel }) => product * kernel, (inputs / groups) * outputs);
}

function addedWeights(fold: PixelFold): number {
  return weightCount(foldedShape(fold)) - weightCount(fold.shape);
}

/** Weights [M, C / groups, ...kernel] at their places in [outputs * M, pixels * C, ...folded kernel]. */
export function foldWeights(weights: Int8Array, fold: PixelFold): Int8Array {
  const { axis, pixels, outputs, kernel, shape } = fold;
  const folded = new Int8Array(weightCount(foldedShape(fold)));
  const sizes = shape.axes.map((line) => line.kernel);
  const line = shape.axes[axis];
  const taps = line?.kernel ?? 1;
  // Axes behind the folded one have kernels of 1, so that `before` and the taps are all there is.
  const before = sizes.slice(0, axis).reduce((product, size) => product * size, 1);
  const seen = shape.inputs / shape.groups;
  for (let copy = 0, at = 0; copy < outputs; copy++, at = 0) {
    for (let m = 0; m < shape.outputs; m++) {
      const firstInput = Math.floor((m * shape.groups) / shape.outputs) * seen;
      for (let c = 0; c < seen; c++) {
        for (let row = 0; row < before; row++) {
          for (let tap = 0; tap < taps; tap++, at++) {
            const pixel = fold.begin * pixels + offsetOf(copy, tap, line);
            const channel = (pixel % pixels) * shape.inputs + firstInput + c;
            const output = copy * shape.outputs + m;
            const place = (output * pixels * shape.inputs + channel) * before + row;
            folded[place * kernel + Math.floor(pixel / pixels)] = weights[at] ?? 0;
          }
        }
      }
    }
  }
  return folded;
}

/** Input pixel that a tap reads for the n-th of the folded output pixels, seen from the first pixel. */
function offsetOf(copy: number, tap: number, line: ConvAxis | undefined): number {
  if (line === undefined) return 0;
  return line.stride * copy + tap * line.dilation - line.begin;
}

/** Scales or biases, one per output channel, for all folded outputs. */
export function repeated(values: Float32Array, fold: PixelFold): Float32Array;
export function repeated(values: Int32Array, fold: PixelFold): Int32Array;
export function repeated(
  values: Float32Array | Int32Array,
  { outputs }: PixelFold,
): Float32Array | Int32Array {
  const made = Array.from({ length: outputs }, () => [...values]).flat();
  return values instanceof Float32Array ? Float32Array.from(made) : Int32Array.from(made);
}
