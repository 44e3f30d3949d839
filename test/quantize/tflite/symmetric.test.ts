import * as fc from 'fast-check';
import { expect, test } from '@jest/globals';
import { tensorNumbers } from '../../../agent/model/tflite/tensor.ts';
import { toInt8 } from '../../../agent/quantize/tflite/symmetric.ts';
import { constant } from '../../support/tflite-models.ts';

const matrix = (values: readonly number[], shape: readonly number[]) =>
  constant('w', Float32Array.from(values), { shape });

test('per tensor: the largest magnitude becomes 127, halves go away from zero', () => {
  // Scale 2 / 127; 1 / (2 / 127) = 63.5 rounds to 64 and -63.5 to -64.
  const stored = toInt8(matrix([2, 1, -1, 0, 0.5, -2], [2, 3]), null);
  expect(stored).toMatchObject({ type: 'INT8', shape: [2, 3] });
  expect(stored.quantization).toEqual({
    scale: [Math.fround(2 / 127)],
    zeroPoint: [0],
    axis: 0,
    min: [],
    max: [],
  });
  expect(tensorNumbers(stored)).toEqual([127, 64, -64, 0, 32, -127]);
});

test('per channel along the first axis and along the last', () => {
  const values = [127, -127, 63.5, 1, 2, 4];
  const rows = toInt8(matrix(values, [2, 3]), 0);
  expect(rows.quantization).toMatchObject({
    scale: [1, Math.fround(4 / 127)],
    zeroPoint: [0, 0],
    axis: 0,
  });
  // 63.5 / 1 = 63.5 -> 64; 1 / (4 / 127) = 31.75 -> 32; 2 -> 63.5 -> 64; 4 -> 127
  expect(tensorNumbers(rows)).toEqual([127, -127, 64, 32, 64, 127]);
  const columns = toInt8(matrix(values, [2, 3]), 1);
  expect(columns.quantization).toMatchObject({
    scale: [1, 1, 0.5],
    axis: 1,
  });
  expect(tensorNumbers(columns)).toEqual([127, -127, 127, 1, 2, 8]);
});

test('a channel of zeros takes the scale of the largest channel, a tensor of zeros 1', () => {
  const stored = toInt8(matrix([0, 0, 254, 127], [2, 2]), 0);
  expect(stored.quantization?.scale).toEqual([2, 2]);
  expect(tensorNumbers(stored)).toEqual([0, 0, 127, 64]);
  expect(toInt8(matrix([0, 0], [2]), null).quantization?.scale).toEqual([1]);
});

test('no value is further than half a step from its own, and none is -128', () => {
  const cases = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }), {
    minLength: 6,
    maxLength: 60,
  });
  fc.assert(
    fc.property(cases, fc.constantFrom(0, null), (values, axis) => {
      const rows = 3;
      const length = Math.floor(values.length / rows) * rows;
      const given = values.slice(0, length);
      const stored = toInt8(matrix(given, [rows, length / rows]), axis);
      const { scale } = stored.quantization!;
      tensorNumbers(stored).forEach((q, index) => {
        const step = scale.length === 1 ? scale[0]! : scale[Math.floor(index / (length / rows))]!;
        expect(Math.abs(q)).toBeLessThanOrEqual(127);
        expect(Math.abs(q * step - given[index]!)).toBeLessThanOrEqual(step * 0.50001);
      });
    }),
  );
});
