import { describe, expect, test } from '@jest/globals';
import { tensorNumbers } from '../../../agent/model/tflite/tensor.ts';
import type {
  TfliteModel,
  TfliteOperator,
  TfliteTensor,
} from '../../../agent/model/tflite/types.ts';
import type { Scheme } from '../../../agent/contracts/scheme.ts';
import { quantizeStatic } from '../../../agent/quantize/tflite/static.ts';
import type { Tensor } from '../../../agent/runtime/types.ts';
import { sizeOf } from '../support.ts';
import { GraphBuilder } from './graphs.ts';
import { STATIC, observe, withSession } from './support.ts';

/*
 * What the file says, computed here in whole numbers: sums of products of what is stored, one real
 * multiplication, one rounding. Kernels multiply by rounded multipliers, so they may be one off.
 */

const SHAPE = [1, 5, 4, 3];

async function quantizedRun(
  builder: GraphBuilder,
  outputs: readonly number[],
  extra: Partial<Scheme> = {},
) {
  const model = builder.model(outputs);
  const samples = builder.samples(2);
  const scheme = { ...STATIC, integerOnly: true, ...extra };
  const { model: made } = quantizeStatic(model, await observe(model, samples), scheme);
  const [graph] = made.subgraphs;
  const feeds = Object.fromEntries(
    graph!.inputs.map((at) => {
      const { name, shape } = graph!.tensors[at]!;
      const data = Int8Array.from(
        { length: sizeOf(shape) },
        (_, i) => ((i * 37 + at * 11) % 256) - 128,
      );
      return [name, { dtype: 'int8', shape, data } as const];
    }),
  );
  const run = (kernels: 'xnnpack' | 'plain') =>
    withSession(made, kernels, (session) => session.run(feeds));
  const results = [await run('xnnpack'), await run('plain')];
  return { made, feeds, results: results.map((one) => Object.values(one)[0]!) };
}

/** What is stored, minus its zero point. */
function centred({ quantization }: TfliteTensor, data: Tensor['data']): number[] {
  const [zero = 0] = quantization!.zeroPoint;
  return Array.from(data as ArrayLike<number>, (one) => one - zero);
}

function parts(made: TfliteModel, operator: TfliteOperator): TfliteTensor[] {
  return [...operator.inputs, ...operator.outputs].map((at) => made.subgraphs[0]!.tensors[at]!);
}

const scaleOf = ({ quantization }: TfliteTensor, channel = 0) =>
  quantization!.scale[quantization!.scale.length > 1 ? channel : 0]!;

function stored(value: number, output: TfliteTensor): number {
  const rounded = Math.round(value) + output.quantization!.zeroPoint[0]!;
  return Math.min(Math.max(rounded, -128), 127);
}

function expectSteps(expected: readonly number[], results: readonly Tensor[]): void {
  for (const { data } of results) {
    const off = expected.map((one, i) => Math.abs(Number(data[i]) - one));
    expect(Math.max(...off)).toBeLessThanOrEqual(1);
    // Nearly all of them are the same.
    expect(off.filter((one) => one > 0).length).toBeLessThanOrEqual(off.length / 20);
  }
}

/** SAME padding, stride 1, with 3x3 filters; what lies outside is the zero point. */
function* taps(y: number, x: number) {
  for (let dy = 0; dy < 3; dy++) {
    for (let dx = 0; dx < 3; dx++) {
      const [row, column] = [y + dy - 1, x + dx - 1];
      const inside = row >= 0 && row < SHAPE[1]! && column >= 0 && column < SHAPE[2]!;
      if (inside) yield { tap: dy * 3 + dx, pixel: row * SHAPE[2]! + column };
    }
  }
}

describe('in whole numbers', () => {
  test('CONV_2D with RELU6', async () => {
    const g = new GraphBuilder(21);
    const x = g.input('x', SHAPE);
    const { made, feeds, results } = await quantizedRun(g, [
      g.conv('y', x, 4, { activation: 'RELU6' }),
    ]);
    const [operator] = made.subgraphs[0]!.operators;
    const [input, weights, bias, output] = parts(made, operator!) as Four;
    const values = centred(input, feeds['x']!.data);
    const [w, b] = [tensorNumbers(weights), tensorNumbers(bias)];
    const expected: number[] = [];
    for (let pixel = 0; pixel < 20; pixel++) {
      for (let o = 0; o < 4; o++) {
        let sum = b[o]!;
        for (const { tap, pixel: from } of taps(Math.floor(pixel / 4), pixel % 4)) {
          for (let c = 0; c < 3; c++) sum += values[from * 3 + c]! * w[(o * 9 + tap) * 3 + c]!;
        }
        const step = scaleOf(output);
        const cut = Math.min(Math.max(sum * scaleOf(bias, o), 0), 6);
        expected.push(stored(cut / step, output));
      }
    }
    expectSteps(expected, results);
  });

  test('DEPTHWISE_CONV_2D', async () => {
    const g = new GraphBuilder(22);
    const { made, feeds, results } = await quantizedRun(g, [g.depthwise('y', g.input('x', SHAPE))]);
    const [operator] = made.subgraphs[0]!.operators;
    const [input, weights, bias, output] = parts(made, operator!) as Four;
    const values = centred(input, feeds['x']!.data);
    const [w, b] = [tensorNumbers(weights), tensorNumbers(bias)];
    const expected: number[] = [];
    for (let pixel = 0; pixel < 20; pixel++) {
      for (let c = 0; c < 3; c++) {
        let sum = b[c]!;
        for (const { tap, pixel: from } of taps(Math.floor(pixel / 4), pixel % 4)) {
          sum += values[from * 3 + c]! * w[tap * 3 + c]!;
        }
        expected.push(stored((sum * scaleOf(bias, c)) / scaleOf(output), output));
      }
    }
    expectSteps(expected, results);
  });

  test('FULLY_CONNECTED as a convolution of pixels', async () => {
    const g = new GraphBuilder(23);
    const y = g.dense('y', g.input('x', [6, 64]), 8);
    const { made, feeds, results } = await quantizedRun(g, [y], { rowScales: 'all' });
    const { tensors, operators, inputs } = made.subgraphs[0]!;
    const conv = operators.find(({ op }) => op === 'CONV_2D');
    const [, weights, bias, output] = parts(made, conv!) as Four;
    const values = centred(tensors[inputs[0]!]!, feeds['x']!.data);
    const [w, b] = [tensorNumbers(weights), tensorNumbers(bias)];
    const expected = Array.from({ length: 48 }, (_, at) => {
      const [row, o] = [Math.floor(at / 8), at % 8];
      let sum = b[o]!;
      for (let k = 0; k < 64; k++) sum += values[row * 64 + k]! * w[o * 64 + k]!;
      return stored((sum * scaleOf(bias, o)) / scaleOf(output), output);
    });
    expectSteps(expected, results);
  });

  test.each(['ADD', 'SUB', 'MUL'] as const)('%s', async (op) => {
    const g = new GraphBuilder(24);
    const [a, b] = [g.input('a', SHAPE), g.input('b', SHAPE)];
    const kinds = { ADD: 'AddOptions', SUB: 'SubOptions', MUL: 'MulOptions' } as const;
    const options = {
      kind: kinds[op],
      fusedActivationFunction: 'NONE',
      potScaleInt16: true,
    } as const;
    const { made, feeds, results } = await quantizedRun(g, [
      g.make(op, 'y', [a, b], SHAPE, options),
    ]);
    const [left, right, output] = parts(made, made.subgraphs[0]!.operators[0]!) as Four;
    const reals = [left, right].map((one) =>
      centred(one, feeds[one.name]!.data).map((value) => value * scaleOf(one)),
    );
    const expected = reals[0]!.map((value, i) => {
      const other = reals[1]![i]!;
      const result = op === 'ADD' ? value + other : op === 'SUB' ? value - other : value * other;
      return stored(result / scaleOf(output), output);
    });
    expectSteps(expected, results);
  });
});

type Four = [TfliteTensor, TfliteTensor, TfliteTensor, TfliteTensor];
