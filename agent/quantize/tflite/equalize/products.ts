import { floatData } from '../../../model/tflite/tensor.ts';
import { along } from '../../equalize/layout.ts';
import type { Layout } from '../../equalize/layout.ts';
import type { Weights } from '../../equalize/noise.ts';
import { begin, convWeights, isAlong } from '../../equalize/products.ts';
import type { Rule } from './rules.ts';
import type { TfliteConstant, TfliteStep, TfliteTracer } from './trace.ts';

/*
 * Convolutions, whose channels are the last axis. Matrix products and transposed convolutions mostly
 * have one scale for all weights, which factors per channel would spread: around them all factors are 1.
 */

/** Weights [outputs, height, width, inputs of a group]. */
const conv: Rule = (step, tracer) => {
  const weight = tracer.weights(step.input[1]);
  if (weight?.dims.length !== 4) return undefined;
  const [outputs = 0, height = 1, width = 1, perGroup = 0] = weight.dims;
  const input = tracer.layout(step.input[0]);
  const channels = tracer.shape(step.input[0])?.at(-1) ?? 0;
  const groups = Math.floor(channels / Math.max(perGroup, 1));
  if (outputs === 0 || groups === 0) return undefined;
  if (input !== undefined) {
    if (!isAlong(input, 3, perGroup * groups)) return undefined;
    const pairs = convWeights(input.ids, [outputs, perGroup], groups);
    const [rows = 1, columns = 1] = pairs.dims;
    const slot = { dims: [rows, 1, 1, columns], ids: pairs.ids };
    const values = () => channelsFirst(weight, [outputs, height * width, perGroup]);
    read(step, tracer, { input, slot, pairs, values });
  }
  return begin(step, tracer, { weight, axis: 0, rank: 4, at: 3 });
};

/** Weights [1, height, width, channels]: some of them for each channel of the input. */
const depthwise: Rule = (step, tracer) => {
  const weight = tracer.weights(step.input[1]);
  if (weight?.dims.length !== 4) return undefined;
  const [, height = 1, width = 1, outputs = 0] = weight.dims;
  const input = tracer.layout(step.input[0]);
  const inputs = tracer.shape(step.input[0])?.at(-1) ?? 0;
  const each = outputs / Math.max(inputs, 1);
  if (outputs === 0 || !Number.isInteger(each)) return undefined;
  if (input !== undefined) {
    if (!isAlong(input, 3, inputs)) return undefined;
    const ids = Int32Array.from(
      { length: outputs },
      (_, output) => input.ids[Math.floor(output / each)] ?? 0,
    );
    const taps = height * width;
    const values = () => ({
      dims: [outputs, 1, taps],
      values: channelsFirst(weight, [1, taps, outputs]).values,
    });
    const pairs = { dims: [outputs, 1], ids };
    read(step, tracer, { input, slot: along(4, 3, ids), pairs, values });
  }
  return begin(step, tracer, { weight, axis: 3, rank: 4, at: 3 });
};

interface Reading {
  readonly input: Layout;
  /** Over the weights as they lie. */
  readonly slot: Layout;
  /** Over pairs of an output and an input channel. */
  readonly pairs: Layout;
  readonly values: () => Weights;
}

/** The weights, second among the inputs, scale against the input that they meet. */
function read(
  step: TfliteStep,
  tracer: TfliteTracer,
  { input: layout, slot, pairs, values }: Reading,
): void {
  tracer.scale({ step, position: 1, layout: slot, power: 1 });
  const [input = '', output = ''] = [step.input[0], step.output[0]];
  tracer.products.push({ input, output, layout, weights: pairs, outputAxis: 0, values });
}

/** Weights [rows, taps, columns] as [rows, columns, taps]. */
function channelsFirst(
  { tensor }: TfliteConstant,
  [rows, taps, columns]: readonly [number, number, number],
): Weights {
  const from = floatData(tensor);
  const values = new Float32Array(from.length);
  for (let row = 0; row < rows; row++) {
    for (let tap = 0; tap < taps; tap++) {
      for (let column = 0; column < columns; column++) {
        values[(row * columns + column) * taps + tap] =
          from[(row * taps + tap) * columns + column] ?? 0;
      }
    }
  }
  return { dims: [rows, columns, taps], values };
}

export const PRODUCT_RULES: ReadonlyMap<string, Rule> = new Map([
  ['CONV_2D', conv],
  ['DEPTHWISE_CONV_2D', depthwise],
]);
