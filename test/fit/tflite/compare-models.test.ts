import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { makeScratch } from '../../../agent/fit/scratch.ts';
import type { Scratch } from '../../../agent/fit/scratch.ts';
import { compareTflite } from '../../../agent/fit/tflite/compare-models.ts';
import { makeOperator, makeQuantization } from '../../../agent/model/tflite/types.ts';
import type { TfliteModel } from '../../../agent/model/tflite/types.ts';
import { npy } from '../../calibration/make-arrays.ts';
import { add, constant, tinyTflite, value } from '../../support/tflite-models.ts';

let folder: string;
let scratch: Scratch;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgefit-compare-'));
  scratch = await makeScratch();
});
afterAll(async () => {
  await scratch.remove();
  await rm(folder, { recursive: true });
});

const bias = constant('c', Float32Array.of(0.3, 0.7), { shape: [2] });

/** a = x + c; b = a + a; y = b + c */
const float = tinyTflite({
  tensors: [value('x', [1, 2]), bias, ...['a', 'b', 'y'].map((name) => value(name, [1, 2]))],
  inputs: [0],
  outputs: [4],
  operators: [add(0, 1, 2), add(2, 2, 3), add(3, 1, 4)],
});

/** The same, but a is rounded to halves in int8, and b is called otherwise. */
const quantized = tinyTflite({
  tensors: [
    value('x', [1, 2]),
    bias,
    value('a_float', [1, 2]),
    { ...value('a', [1, 2], 'INT8'), quantization: makeQuantization([0.5], [0]) },
    ...['a_again', 'renamed', 'y'].map((name) => value(name, [1, 2])),
  ],
  inputs: [0],
  outputs: [6],
  operators: [
    add(0, 1, 2),
    makeOperator({
      op: 'QUANTIZE',
      inputs: [2],
      outputs: [3],
      options: { kind: 'QuantizeOptions' },
    }),
    makeOperator({
      op: 'DEQUANTIZE',
      version: 2,
      inputs: [3],
      outputs: [4],
      options: { kind: 'DequantizeOptions' },
    }),
    add(4, 4, 5),
    add(5, 1, 6),
  ],
});

async function compared(other: TfliteModel) {
  const path = join(folder, 'samples.npy');
  await writeFile(path, npy('<f4', [2, 2], Float32Array.of(1, 2, -1, 0)));
  const hooks = { signal: new AbortController().signal, progress: () => undefined };
  const job = { origin: { path }, inputs: { x: { array: {} } }, image: {} };
  const names = { float: 'float.tflite', quantized: 'quantized.tflite' };
  return compareTflite(float, other, { job, threads: 1, names }, scratch, hooks);
}

test('tensors are compared by name, integers as the numbers that they stand for', async () => {
  const { layers, gone, found } = await compared(quantized);
  expect(layers.map(({ tensor, op, output, madeFrom }) => [tensor, op, output, madeFrom])).toEqual([
    ['a', 'ADD', false, ['x']],
    ['y', 'ADD', true, ['b']],
  ]);
  expect(gone).toEqual([{ tensor: 'b', node: 'b', op: 'ADD' }]);
  expect(found).toMatchObject({ samples: 2, unlike: [] });
  const [a, y] = found.tensors.map(({ values }) => values);
  // a: 1.3 2.7 -0.7 0.7, and 1.5 2.5 -0.5 0.5; y = 2a + c is off by twice as much.
  expect(a?.values).toBe(4);
  expect(a?.reference2).toBeCloseTo(1.69 + 7.29 + 0.49 + 0.49, 5);
  expect(a?.error2).toBeCloseTo(4 * 0.04, 5);
  expect(a?.maxAbsError).toBeCloseTo(0.2, 6);
  expect(y?.error2).toBeCloseTo(4 * 0.16, 5);
}, 30_000);

test('a model without a tensor in common is refused in words', async () => {
  const [graph] = float.subgraphs;
  const tensors = graph!.tensors.map((one, at) =>
    at < 2 ? one : { ...one, name: `${one.name}_2` },
  );
  const stranger = { ...float, subgraphs: [{ ...graph!, tensors }] };
  await expect(compared(stranger)).rejects.toThrow(/quantized\.tflite/);
}, 30_000);
