import { expect, test } from '@jest/globals';
import { planLayers } from '../../agent/calibration/layer-inputs.ts';
import { MomentsAccumulator } from '../../agent/calibration/layer-moments.ts';
import { rowReader } from '../../agent/calibration/layer-rows.ts';
import type { LayerInput, LayerWindow } from '../../agent/model/statistics.ts';

const WINDOW: LayerWindow = {
  kernel: [2, 2],
  strides: [1, 2],
  dilations: [1, 1],
  pads: [1, 0],
  padsAtEnd: [0, 0],
};
/** Two channels of 2 x 4: 1 to 8, then 11 to 18. */
const IMAGE = Float32Array.from({ length: 16 }, (_, at) => (at < 8 ? at + 1 : at + 3));

const conv = (window: LayerWindow, groups = 1): LayerInput => {
  return { key: 'k', tensor: 'x', size: groups === 1 ? 8 : 4, groups, window };
};

function rowsOf(layer: LayerInput, values: Float32Array, shape: readonly number[]) {
  const reader = rowReader(layer, values, shape);
  return Array.from({ length: reader?.rows ?? 0 }, (_, row) => {
    const into = new Float64Array(layer.size * layer.groups);
    reader?.read(row, into, 0, 1);
    return [...into];
  });
}

test('a window slides by its strides, over padding of zeros', () => {
  expect(rowsOf(conv(WINDOW), IMAGE, [1, 2, 2, 4])).toEqual([
    [0, 0, 1, 2, 0, 0, 11, 12],
    [0, 0, 3, 4, 0, 0, 13, 14],
    [1, 2, 5, 6, 11, 12, 15, 16],
    [3, 4, 7, 8, 13, 14, 17, 18],
  ]);
});

test.each([
  ['upper', [1, 2, 5, 6], [7, 8, 0, 0]],
  ['lower', [0, 0, 1, 2], [3, 4, 7, 8]],
] as const)('padding SAME_%s follows from the size', (same, first, last) => {
  const rows = rowsOf(conv({ ...WINDOW, pads: [0, 0], same }), IMAGE, [1, 2, 2, 4]);
  expect(rows).toHaveLength(4);
  expect(rows[0]?.slice(0, 4)).toEqual(first);
  expect(rows.at(-1)?.slice(0, 4)).toEqual(last);
});

/** The same image with its channels last: 1, 11, 2, 12, ... */
const PIXELS = Float32Array.from({ length: 16 }, (_, at) => (at >> 1) + 1 + (at % 2) * 10);

test('channels that come last lie inside the taps', () => {
  const window = { ...WINDOW, channelsLast: true };
  expect(rowsOf(conv(window), PIXELS, [1, 2, 4, 2])).toEqual([
    [0, 0, 0, 0, 1, 11, 2, 12],
    [0, 0, 0, 0, 3, 13, 4, 14],
    [1, 11, 2, 12, 5, 15, 6, 16],
    [3, 13, 4, 14, 7, 17, 8, 18],
  ]);
  // A filter per channel sees its taps only, one channel behind the other.
  expect(rowsOf(conv(window, 2), PIXELS, [1, 2, 4, 2])[2]).toEqual([1, 2, 5, 6, 11, 12, 15, 16]);
});

test('a tensor that does not fit the layer has no rows', () => {
  expect(rowReader(conv(WINDOW), IMAGE, [1, 4, 2, 2])).toBeUndefined();
  expect(rowReader({ key: 'k', tensor: 'x', size: 3, groups: 1 }, IMAGE, [4, 4])).toBeUndefined();
});

test('moments of all rows are those of the sample', () => {
  const sums = new MomentsAccumulator({ key: 'k', tensor: 'x', size: 3, groups: 1 }, 2, 1);
  sums.add(Float32Array.of(1, 2, 4, 3, 2, 0), [2, 3], 100);
  sums.add(Float32Array.of(5, 8, 2), [1, 3], 100);
  const found = sums.result();
  expect(found?.count).toBe(3);
  expect([...(found?.mean ?? [])]).toEqual([3, 4, 2]);
  // Offsets: (-2, 0, 2), (-2, -2, 4), (2, -2, 0); the blocks are {0, 1} and {2}.
  const expected = [8 / 3, 4, 4, 8, 8 / 3];
  found?.covariance.forEach((value, at) => expect(value).toBeCloseTo(expected[at] ?? NaN, 5));
  expect(found?.covariance).toHaveLength(5);
});

test('the same rows are chosen at every run, and only as many as asked for', () => {
  const values = Float32Array.from({ length: 5000 }, (_, at) => Math.sin(at));
  const [first, again] = [0, 1].map(() => {
    const sums = new MomentsAccumulator({ key: 'k', tensor: 'x', size: 5, groups: 1 }, 5, 3);
    sums.add(values, [1000, 5], 100);
    return sums.result();
  });
  expect(first?.count).toBe(100);
  expect(again).toEqual(first);
});

test('what is not finite gives no moments', () => {
  const sums = new MomentsAccumulator({ key: 'k', tensor: 'x', size: 2, groups: 1 }, 2, 1);
  sums.add(Float32Array.of(1, Infinity), [1, 2], 1);
  expect(sums.result()).toBeUndefined();
});

test('large layers are left out where memory or time would not do', () => {
  const small = { key: 'small', tensor: 'x', size: 9, groups: 32 };
  const large = { key: 'large', tensor: 'y', size: 30_000, groups: 1 };
  expect(planLayers([large, small]).map(({ layer }) => layer.key)).toEqual(['small']);
});
