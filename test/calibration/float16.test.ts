import { expect, test } from '@jest/globals';
import { decodeHalf, encodeHalf } from '../../agent/calibration/float16.ts';

test.each([
  [0x0000, 0],
  [0x8000, -0],
  [0x3c00, 1],
  [0xc000, -2],
  [0x7bff, 65504],
  [0x0400, 2 ** -14],
  [0x03ff, (2 ** -14 * 1023) / 1024],
  [0x0001, 2 ** -24],
  [0x3555, 0.333251953125],
  [0x7c00, Infinity],
  [0xfc00, -Infinity],
])('%i is %d', (bits, value) => {
  expect(decodeHalf(Uint16Array.of(bits))[0]).toBe(value);
  expect(encodeHalf([value])[0]).toBe(bits);
});

test('every value survives decoding and encoding', () => {
  const bits = Uint16Array.from({ length: 65536 }, (_, i) => i).filter(
    (one) => (one & 0x7c00) !== 0x7c00,
  );
  expect(encodeHalf(decodeHalf(bits))).toEqual(bits);
});

test.each([
  [1 + 1 / 2048, 0x3c00],
  [1 + 3 / 2048, 0x3c02],
  [65519.99, 0x7bff],
  [65520, 0x7c00],
  [2 ** -25, 0x0000],
  [2 ** -25 * 1.01, 0x0001],
  [2048.5, 0x6800],
])('%d rounds to the nearest, ties to even', (value, bits) => {
  expect(encodeHalf([value])[0]).toBe(bits);
});

test('not a number stays one', () => {
  expect(decodeHalf(encodeHalf([NaN]))[0]).toBeNaN();
});
