import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import {
  dequantizeTensor,
  floatSession,
  quantizeTensor,
} from '../../agent/runtime/float-session.ts';
import { tfliteRuntime } from '../../agent/runtime/tflite/tflite.ts';
import { tinyTflite } from '../support/tiny-tflite.ts';

const float = (...values: number[]) => ({
  dtype: 'float32' as const,
  shape: [values.length],
  data: Float32Array.from(values),
});

test('quantizes as TFLite does: halves away from zero, held to the range', () => {
  const half = { scale: 0.5, zeroPoint: -3 };
  // 0.25 / 0.5 = 0.5 rounds to 1, -0.25 to -1, 0.2 to 0; then 3 less.
  const values = float(0, 0.25, -0.25, 0.2, 0.75, -1.25, 1000, -1000, Number.NaN);
  expect(quantizeTensor(values, 'int8', half)).toEqual({
    dtype: 'int8',
    shape: [9],
    data: new Int8Array([-3, -2, -4, -3, -1, -6, 127, -128, -3]),
  });
  expect(quantizeTensor(float(-1, 127.5, 1e9), 'uint8', { scale: 1, zeroPoint: 1 }).data).toEqual(
    new Uint8Array([0, 129, 255]),
  );
  expect(quantizeTensor(float(2, -99, 99), 'int16', { scale: 0.001, zeroPoint: 0 }).data).toEqual(
    new Int16Array([2000, -32768, 32767]),
  );
});

test('dequantizes', () => {
  const stored = {
    dtype: 'int8' as const,
    shape: [2, 2],
    data: new Int8Array([-3, -2, 127, -128]),
  };
  expect(dequantizeTensor(stored, { scale: 0.5, zeroPoint: -3 })).toEqual({
    dtype: 'float32',
    shape: [2, 2],
    data: new Float32Array([0, 0.5, 65, -62.5]),
  });
});

test('a model with integers outside is fed and read as floats', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgefit-float-session-'));
  const path = join(folder, 'int8.tflite');
  const quantization = { scale: 0.5, zeroPoint: 10 };
  const model = tinyTflite({
    tensors: [
      { name: 'x', type: 'int8', shape: [1, 3], quantization },
      { name: 'count', type: 'int8', shape: [1] },
    ],
    inputs: [0, 1],
    outputs: [0, 1],
  });
  await writeFile(path, model);
  const options = { threads: 1, optimization: 'all', arena: true } as const;
  const session = floatSession(await tfliteRuntime.open(path, options));
  await rm(folder, { recursive: true });

  // A scale makes the difference: what has none is a number as it is.
  const described = [
    { name: 'x', dtype: 'float32', shape: [1, 3] },
    { name: 'count', dtype: 'int8', shape: [1] },
  ];
  expect(session.describe()).toEqual({ inputs: described, outputs: described });
  const count = { dtype: 'int8' as const, shape: [1], data: Int8Array.of(7) };
  const x = { dtype: 'float32' as const, shape: [1, 3], data: new Float32Array([0.6, -1.6, 500]) };
  const expected = { x: { ...x, data: new Float32Array([0.5, -1.5, 58.5]) }, count };
  expect(await session.run({ x, count })).toEqual(expected);
  await session.prepare!({ x, count })();
  await expect(session.run({ x })).rejects.toMatchObject({ code: 'BAD_INPUT' });
  await session.close();
});
