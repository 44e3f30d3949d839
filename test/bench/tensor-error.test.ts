import { expect, test } from '@jest/globals';
import { WORST_SQNR_DB } from '../../agent/bench/fidelity.ts';
import { TensorErrorMeter, sqnrDbOf, sumOf } from '../../agent/bench/tensor-error.ts';
import type { Tensor } from '../../agent/runtime/types.ts';

const floats = (...values: readonly number[]): Tensor => {
  return { dtype: 'float32', shape: [values.length], data: Float32Array.from(values) };
};

test('adds up energies, the largest difference and ranges over samples', () => {
  const meter = new TensorErrorMeter();
  expect(meter.add(floats(3, -4), floats(3.5, -4))).toBe(true);
  expect(meter.add(floats(0, 5), floats(0, 3))).toBe(true);
  const result = meter.result();
  expect(result).toEqual({
    reference2: 50,
    error2: 4.25,
    maxAbsError: 2,
    referenceRange: { min: -4, max: 5 },
    range: { min: -4, max: 3.5 },
    values: 4,
    broken: false,
  });
  expect(sqnrDbOf(result)).toBeCloseTo(10 * Math.log10(50 / 4.25), 10);
});

test('equal is null, and infinities where the reference has none are the worst', () => {
  const equal = new TensorErrorMeter();
  equal.add(floats(1, Infinity), floats(1, Infinity));
  expect(sqnrDbOf(equal.result())).toBeNull();
  const broken = new TensorErrorMeter();
  broken.add(floats(1, 2), floats(1, Number.NaN));
  expect(sqnrDbOf(broken.result())).toBe(WORST_SQNR_DB);
});

test('noise where the reference is all zeros has no finite ratio: the worst', () => {
  const meter = new TensorErrorMeter();
  meter.add(floats(0, 0), floats(0, 1));
  expect(sqnrDbOf(meter.result())).toBe(WORST_SQNR_DB);
});

test('another number of values counts nothing', () => {
  const meter = new TensorErrorMeter();
  expect(meter.add(floats(1, 2), floats(1))).toBe(false);
  expect(meter.result()).toMatchObject({ values: 0, referenceRange: null, range: null });
});

test('half floats are decoded, text is refused', () => {
  const meter = new TensorErrorMeter();
  const half: Tensor = { dtype: 'float16', shape: [1], data: Uint16Array.of(0x3c00) };
  const text: Tensor = { dtype: 'string', shape: [1], data: ['a'] };
  expect(meter.add(floats(1), half)).toBe(true);
  expect(meter.add(floats(1), text)).toBe(false);
  expect(meter.result()).toMatchObject({ error2: 0, range: { min: 1, max: 1 } });
});

test('several tensors as one', () => {
  const sum = sumOf([
    { reference2: 90, error2: 0, broken: false },
    { reference2: 10, error2: 1, broken: false },
  ]);
  expect(sqnrDbOf(sum)).toBeCloseTo(20, 10);
});
