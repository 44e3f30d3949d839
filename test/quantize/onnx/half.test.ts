import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { halfBits, halfTensor } from '../../../agent/quantize/onnx/fp16/half.ts';
import { floatTensor } from '../../../agent/model/onnx/tensor.ts';
import { float16ToNumber } from '../../../agent/model/small-floats.ts';

const bitsOf = (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0] ?? 0;
const half = (value: number) => halfBits(bitsOf(value));

test.each([
  [0, 0x0000],
  [-0, 0x8000],
  [1, 0x3c00],
  [-2, 0xc000],
  [65504, 0x7bff],
  [0.1, 0x2e66],
  [1 / 3, 0x3555],
  // 2049 lies between 2048 and 2050, 2051 between 2050 and 2052: ties go to even.
  [2049, 0x6800],
  [2051, 0x6802],
  // The largest subnormal, the smallest normal, the smallest subnormal.
  [(1023 / 1024) * 2 ** -14, 0x03ff],
  [2 ** -14, 0x0400],
  [2 ** -24, 0x0001],
  // 1.5 * 2^-24 lies between one and two steps, 2.5 between two and three: ties go to even.
  [1.5 * 2 ** -24, 0x0002],
  [2.5 * 2 ** -24, 0x0002],
  // Rounding up to the next exponent.
  [(2047.75 / 1024) * 2 ** -14, 0x0800],
  // Out of range: the nearest that is in range.
  [65505, 0x7bff],
  [70000, 0x7bff],
  [-3.4e38, 0xfbff],
  [1e-8, 0x0001],
  [-1e-30, 0x8001],
  [Infinity, 0x7c00],
  [-Infinity, 0xfc00],
  [NaN, 0x7e00],
])('%d becomes %i', (value, bits) => {
  expect(half(value)).toBe(bits);
});

test('every float16 comes back from float32', () => {
  const all = Array.from({ length: 0x10000 }, (_, bits) => bits);
  const wrong = all.filter((bits) => {
    const value = float16ToNumber(bits);
    return !Number.isNaN(value) && half(value) !== bits;
  });
  expect(wrong).toEqual([]);
});

test('no float16 is nearer than the one chosen', () => {
  const inRange = fc
    .float({ min: -65504, max: 65504, noNaN: true })
    .filter((value) => Math.abs(value) >= 2 ** -24);
  fc.assert(
    fc.property(inRange, (value) => {
      const bits = half(value);
      const distance = (other: number) => Math.abs(float16ToNumber(other) - value);
      const nearest = Math.min(...[bits - 1, bits, bits + 1].map(distance).filter(Number.isFinite));
      expect(distance(bits)).toBe(nearest);
    }),
    { seed: 16, numRuns: 2000 },
  );
});

test('clamped values are counted', () => {
  const { tensor, above, below } = halfTensor(
    floatTensor('w', [1, 1e6, -1e9, 1e-9, 0, Infinity]),
    'h',
  );
  expect({ name: tensor.name, above, below }).toEqual({ name: 'h', above: 2, below: 1 });
});
