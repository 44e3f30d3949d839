import { describe, expect, test } from '@jest/globals';
import { OP_TABLE } from '../../../agent/quantize/tflite/op-table.ts';
import { quantizeStatic } from '../../../agent/quantize/tflite/static.ts';
import type { Scheme } from '../../../agent/contracts/scheme.ts';
import type { Outputs, Tensor } from '../../../agent/runtime/types.ts';
import { SINGLE_OPS, singleOpFeeds, singleOpModel } from './single-ops.ts';
import type { SingleOp } from './single-ops.ts';
import { INT16, STATIC, observe, run } from './support.ts';

/*
 * Every row of the table on the kernels of the library that comes with the program. All inputs and
 * weights are multiples of their scales, so the integer kernel and the float kernel compute the same
 * but for the rounding of the output.
 */

async function quantized(one: SingleOp, scheme: Scheme) {
  const model = singleOpModel(one);
  const feeds = singleOpFeeds(one);
  const statistics = await observe(model, [feeds]);
  const made = quantizeStatic(model, statistics, { ...scheme, integerOnly: true });
  return { model, feeds, made };
}

/** The scale of each output, 0 where it is no quantized number. */
function stepsOf(model: ReturnType<typeof singleOpModel>): number[] {
  const [{ outputs, tensors }] = model.subgraphs as [(typeof model.subgraphs)[number]];
  return outputs.map((at) => tensors[at]!.quantization?.scale[0] ?? 0);
}

function largestError(a: Tensor, b: Tensor): number {
  const [x, y] = [Array.from(a.data, Number), Array.from(b.data, Number)];
  expect(y).toHaveLength(x.length);
  return x.reduce((worst, value, i) => Math.max(worst, Math.abs(value - y[i]!)), 0);
}

function expectClose(reference: Outputs, outputs: Outputs, allowed: readonly number[]): void {
  const names = Object.keys(reference);
  expect(Object.keys(outputs)).toEqual(names);
  names.forEach((name, i) => {
    expect(largestError(reference[name]!, outputs[name]!)).toBeLessThanOrEqual(allowed[i]!);
  });
}

test('every row is run', () => {
  // Layers with a state have suites of their own, in recurrent/.
  const rows = [...OP_TABLE].filter(([, rule]) => rule.recurrent === undefined);
  expect(SINGLE_OPS.map(({ op }) => op).toSorted()).toEqual(rows.map(([op]) => op).toSorted());
});

describe.each(['xnnpack', 'plain'] as const)('int8, %s', (kernels) => {
  test.each(SINGLE_OPS.map((one) => [one.op, one] as const))('%s', async (_, one) => {
    const { model, feeds, made } = await quantized(one, STATIC);
    expect(made.ops.every(({ precision }) => precision === 'integer')).toBe(true);
    const reference = await run(model, feeds);
    const outputs = await run(made.model, feeds, kernels);
    // Half a step is rounding; kernels multiply by rounded multipliers, too.
    const steps = stepsOf(made.model).map((step) => 1.001 * step);
    expectClose(reference, outputs, steps);
  });
});

/** PRELU runs in parts. */
const isWide = ({ op }: SingleOp) => op === 'PRELU' || OP_TABLE.get(op)!.int16;
const WIDE = SINGLE_OPS.filter(isWide);

describe('int16 activations', () => {
  test.each(WIDE.map((one) => [one.op, one] as const))('%s', async (_, one) => {
    const { model, feeds, made } = await quantized(one, INT16);
    const reference = await run(model, feeds);
    const outputs = await run(made.model, feeds, 'plain');
    // Inputs are rounded here, as 32767 steps do not meet theirs.
    const allowed = stepsOf(made.model).map((step) => (step === 0 ? 0 : 2 ** -9));
    expectClose(reference, outputs, allowed);
  });

  test.each(SINGLE_OPS.filter((one) => !isWide(one)).map((one) => [one.op, one] as const))(
    '%s has none',
    async (_, one) => {
      await expect(quantized(one, INT16)).rejects.toThrow('no kernel for 16-bit activations');
    },
  );
});
