import { describe, expect, test } from '@jest/globals';
import { quantizeBlocks } from '../../../agent/quantize/onnx/blocks.ts';
import { randomValues, randoms } from '../support.ts';

describe('blocks of 8 bits', () => {
  test('are symmetric around 128, the last block filled up with zeros', () => {
    // One column of 18 values: a block of 16, and one of 2.
    const values = new Float32Array(18);
    values[0] = -127;
    values[1] = 63.5;
    values[16] = 0.5;
    values[17] = -0.25;
    const made = quantizeBlocks(values, 1, 18, { bits: 8, blockSize: 16 });
    expect(made.blocks).toBe(2);
    expect([...made.scales]).toEqual([1, Math.fround(0.5 / 127)]);
    // 63.5 is half way between two steps and goes to the even one.
    expect([...made.data.subarray(0, 4)]).toEqual([1, 192, 128, 128]);
    expect([...made.data.subarray(16, 20)]).toEqual([255, 64, 128, 128]);
  });

  test('of nothing but zeros have a usable scale', () => {
    const made = quantizeBlocks(new Float32Array(16), 1, 16, { bits: 8, blockSize: 16 });
    expect(made.scales[0]).toBe(1);
    expect(made.data.every((value) => value === 128)).toBe(true);
  });
});

describe('blocks of 4 bits', () => {
  test('hold 16 even steps exactly, two to a byte', () => {
    const values = Float32Array.from({ length: 16 }, (_, i) => i - 5);
    const made = quantizeBlocks(values, 1, 16, { bits: 4, blockSize: 16 });
    expect(made.scales[0]).toBe(1);
    expect(made.zeroPoints).toEqual(Uint8Array.of(5));
    expect([...made.data]).toEqual([0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe]);
  });

  test('every column has zero points from a new byte', () => {
    // Three blocks a column, two columns: two bytes of zero points each.
    const made = quantizeBlocks(new Float32Array(96).fill(-1), 2, 48, { bits: 4, blockSize: 16 });
    expect([...made.zeroPoints]).toEqual([0xff, 0x0f, 0xff, 0x0f]);
  });

  test('cutting off a rare value never loses more than the full range would', () => {
    const values = randomValues(randoms(3), 64);
    values[7] = 9;
    const made = quantizeBlocks(values, 1, 64, { bits: 4, blockSize: 64 });
    const scale = made.scales[0] ?? 0;
    const zero = (made.zeroPoints[0] ?? 0) & 15;
    const back = values.map((_, k) => {
      const byte = made.data[k >> 1] ?? 0;
      return (((byte >> ((k & 1) * 4)) & 15) - zero) * scale;
    });
    const low = Math.min(...values);
    const step = (9 - low) / 15;
    const plain = values.map(
      (value) =>
        (Math.round(value / step) - Math.round(low / step)) * step + Math.round(low / step) * step,
    );
    const error = (other: Float32Array) =>
      other.reduce((sum, v, k) => sum + (v - (values[k] ?? 0)) ** 2, 0);
    expect(error(back)).toBeLessThanOrEqual(error(plain) * 1.0001);
  });
});
