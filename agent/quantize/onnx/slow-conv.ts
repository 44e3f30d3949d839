import { floatConvMicroseconds } from './conv-cost.ts';
import type { ConvShape } from './conv-shape.ts';
import { foldedShape, integerMicroseconds, planFold } from './fold-pixels.ts';

/** Microseconds per element, at 2.5 GHz: rounding with a change of layout, and the way back. */
const TO_BYTES = 3.8e-4;
const TO_FLOATS = 3.5e-4;
/** An estimate that is this much better is better. */
const CLEARLY = 0.8;

/**
 * Why a convolution is faster in float on x86, with all that it takes to have it in float among
 * bytes; undefined where it is not. It happens where there are hardly any channels.
 */
export function slowConv(shape: ConvShape, readsBytes: boolean): string | undefined {
  if (shape.groups !== 1) return undefined;
  const fold = planFold(shape);
  const integer = integerMicroseconds(fold === undefined ? shape : foldedShape(fold));
  const read = elements(shape.inputs, shape, ({ input }) => input);
  const made = elements(shape.outputs, shape, ({ output }) => output);
  const { inputs, outputs, axes } = shape;
  const pixels = made / outputs;
  const float = floatConvMicroseconds({
    pixels,
    inputs,
    outputs,
    kernel: axes.map((a) => a.kernel),
  });
  const around = made * TO_BYTES + (readsBytes ? read * TO_FLOATS : -read * TO_BYTES);
  if (float + around >= integer * CLEARLY) return undefined;
  return 'its few channels run slower in the integer kernel than in float';
}

function elements(
  channels: number,
  { axes }: ConvShape,
  size: (axis: ConvShape['axes'][number]) => number,
): number {
  return axes.reduce((product, axis) => product * size(axis), channels);
}
