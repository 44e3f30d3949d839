import { describe, expect, test } from '@jest/globals';
import {
  affineParams,
  channelMaxima,
  channelView,
  guardBias,
  quantizeBias,
  quantizeChannels,
  representable,
  roundHalfEven,
  symmetricParams,
} from '../../agent/quantize/arithmetic.ts';
import type { QuantType } from '../../agent/quantize/arithmetic.ts';

const f32 = Math.fround;

test.each([
  [0.5, 0],
  [1.5, 2],
  [2.5, 2],
  [-0.5, -0],
  [-1.5, -2],
  [-2.5, -2],
  [0.49999999999999994, 0],
  [0.5000001, 1],
  [-3.7, -4],
  [7, 7],
  [2 ** 52 + 1, 2 ** 52 + 1],
])('%d is rounded to %d', (value, rounded) => {
  expect(roundHalfEven(value)).toBeCloseTo(rounded, 15);
});

describe('affine parameters', () => {
  // scale = (max - min) / (qmax - qmin), zero point = round(qmin - min / scale), by hand
  test.each<[string, number, number, QuantType, number, number]>([
    ['of a positive range', 0, 2.55, 'u8', 0.01, 0],
    ['of a positive range', 0, 2.55, 's8', 0.01, -128],
    ['of a negative range', -2.55, 0, 'u8', 0.01, 255],
    ['of a negative range', -2.55, 0, 's8', 0.01, 127],
    ['around zero', -1, 1, 'u8', 2 / 255, 128],
    ['around zero', -1, 1, 's8', 2 / 255, 0],
    ['around zero, uneven', -0.5, 2.05, 'u8', 0.01, 50],
    ['around zero, uneven', -0.5, 2.05, 's8', 0.01, -78],
    ['widened to zero from above', 1, 2.55, 'u8', 0.01, 0],
    ['widened to zero from below', -2.55, -1, 's8', 0.01, 127],
    ['of a constant', 5.1, 5.1, 'u8', 0.02, 0],
    ['of a negative constant', -5.1, -5.1, 's8', 0.02, 127],
    ['of nothing', 0, 0, 'u8', 1, 0],
    ['of nothing', 0, 0, 's8', 1, 0],
    ['of a range too small for a float32 scale', 0, 1e-40, 'u8', 1, 0],
    ['of a range too small for a float32 scale', -1e-38, 1e-38, 's8', 1, 0],
    ['of the smallest range that has a scale', 0, 255 * 2 ** -126, 'u8', 2 ** -126, 0],
    ['of the largest floats', -3.4e38, 3.4e38, 'u8', 6.8e38 / 255, 128],
    ['in 16 bits, always symmetric', -1, 3.2767, 's16', 3.2767 / 32767, 0],
    // 0 - -0.25 / (2.55 / 255) = 25 exactly; -0.255 / 0.01 = 25.5 is rounded to the even 26
    ['with a half in the zero point', -0.255, 2.295, 'u8', 0.01, 26],
  ])('%s: [%d, %d] as %s', (_, min, max, type, scale, zeroPoint) => {
    expect(affineParams(min, max, type)).toEqual({ type, scale: f32(scale), zeroPoint });
  });

  test.each([
    [NaN, 1],
    [-Infinity, 0],
    [0, Infinity],
    [-Infinity, Infinity],
  ])('[%d, %d] gives no scale that would poison the rest', (min, max) => {
    expect(affineParams(min, max, 'u8')).toEqual({ type: 'u8', scale: 1, zeroPoint: 0 });
  });

  test('zero is always exact, and the ends come back within half a step', () => {
    for (const [min, max] of [
      [-0.3, 7.1],
      [-9, 0.01],
      [-1e-3, 1e-3],
    ] as const) {
      for (const type of ['u8', 's8'] as const) {
        const params = affineParams(min, max, type);
        const ends = representable(params);
        expect(Math.abs(ends.min - min)).toBeLessThanOrEqual(params.scale * 0.5001);
        expect(Math.abs(ends.max - max)).toBeLessThanOrEqual(params.scale * 0.5001);
      }
    }
  });
});

test.each<[number, 's8' | 's16', boolean, number]>([
  [12.7, 's8', false, 0.1],
  [6.4, 's8', true, 0.1],
  [3276.7, 's16', false, 0.1],
  [0, 's8', false, 1],
  [0, 's8', true, 1],
  [1e-39, 's8', false, 1],
  [NaN, 's8', false, 1],
  [Infinity, 's8', false, 1],
])('symmetric up to %d in %s, 7 bits %s: scale %d', (largest, type, reduced, scale) => {
  expect(symmetricParams(largest, type, reduced)).toEqual({
    type,
    scale: f32(scale),
    zeroPoint: 0,
  });
});

describe('weights per channel', () => {
  const six = Float32Array.of(1, -2, 3, -4, 5, -6);

  test.each<[string, number[], number, number[], number[]]>([
    // [[1, -2, 3], [-4, 5, -6]]
    ['rows (Conv, Gemm with transB)', [2, 3], 0, [1, 2, 3], [3, 6]],
    ['columns (MatMul, Gemm)', [2, 3], 1, [2, 3, 1], [4, 5, 6]],
    // outer 2, channels 3, inner 1
    ['a middle axis', [2, 3, 1], 1, [2, 3, 1], [4, 5, 6]],
    ['kernels', [3, 1, 2], 0, [1, 3, 2], [2, 4, 6]],
    ['depthwise kernels', [6, 1, 1], 0, [1, 6, 1], [1, 2, 3, 4, 5, 6]],
  ])('%s', (_, dims, axis, view, maxima) => {
    const [outer, channels, inner] = view;
    expect(channelView(dims, axis)).toEqual({ outer, channels, inner });
    expect([...channelMaxima(six, channelView(dims, axis))]).toEqual(maxima);
  });

  test('each channel is divided by its own scale', () => {
    const columns = quantizeChannels(six, channelView([2, 3], 1), Float32Array.of(1, 0.5, 2));
    // 3 / 2 = 1.5 rounds to 2, -6 / 2 = -3
    expect([...columns]).toEqual([1, -4, 2, -4, 10, -3]);
    const rows = quantizeChannels(six, channelView([2, 3], 0), Float32Array.of(2, 4));
    // 0.5 -> 0, -1, 1.5 -> 2; -1, 1.25 -> 1, -1.5 -> -2
    expect([...rows]).toEqual([0, -1, 2, -1, 1, -2]);
  });

  test('values beyond the type are cut off, and NaN counts as nothing', () => {
    const wild = Float32Array.of(1000, -1000, NaN, 0.4);
    const view = channelView([1, 4], 0);
    expect([...quantizeChannels(wild, view, Float32Array.of(1))]).toEqual([127, -128, 0, 0]);
    expect([...channelMaxima(Float32Array.of(NaN, -2), channelView([1, 2], 0))]).toEqual([2]);
  });

  test('7-bit weights stay within 64', () => {
    const { scale } = symmetricParams(6, 's8', true);
    const made = quantizeChannels(six, channelView([1, 6], 0), Float32Array.of(scale));
    // 64 / 6 = 10.67 steps a unit: 10.67, 21.33, 32, 42.67, 53.33, 64
    expect([...made]).toEqual([11, -21, 32, -43, 53, -64]);
  });
});

describe('biases', () => {
  test('have the scale of input times weight', () => {
    const made = quantizeBias(Float32Array.of(1, -0.5, 0.25), 0.5, Float32Array.of(1, 0.5, 0.25));
    expect([...made.scales]).toEqual([0.5, 0.25, 0.125]);
    expect([...made.values]).toEqual([2, -2, 2]);
  });

  test('share one scale where the weights do', () => {
    const made = quantizeBias(Float32Array.of(1, -3), 0.5, Float32Array.of(0.25));
    expect([...made.scales]).toEqual([0.125, 0.125]);
    expect([...made.values]).toEqual([8, -24]);
  });

  test('are rounded half to even and cut off at 32 bits', () => {
    const made = quantizeBias(Float32Array.of(2.5, 3.5, 1e30, -1e30), 1, Float32Array.of(1));
    expect([...made.values]).toEqual([2, 4, 2147483647, -2147483647]);
  });

  test('a channel of no weights gets a scale that its bias fits at', () => {
    // 2^-60 * 2^-3 * q = 4 would need q = 2^65
    const scales = Float32Array.of(2 ** -60, 0.5);
    const guarded = guardBias(scales, 2 ** -3, Float32Array.of(4, 4));
    expect(guarded[1]).toBe(0.5);
    // smallest product 1.0001 * 4 / (2^31 - 1), divided by the input's scale
    expect(guarded[0]).toBeCloseTo(((1.0001 * 4) / (2 ** 31 - 1)) * 8, 15);
    const made = quantizeBias(Float32Array.of(4, 4), 2 ** -3, guarded);
    expect(made.values[0]).toBeGreaterThan(2 ** 31 * 0.999);
    expect(made.values[0]! * made.scales[0]!).toBeCloseTo(4, 5);
    expect(scales[0]).toBe(2 ** -60);
  });
});
