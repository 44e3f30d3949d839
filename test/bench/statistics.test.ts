import { expect, test } from '@jest/globals';
import {
  median,
  percentile,
  summarize,
  throughputPerSecond,
} from '../../agent/bench/statistics.ts';

test.each([
  [0, 1],
  [0.5, 2.5],
  [0.9, 3.7],
  [1, 4],
])('percentile %d of 1 2 3 4 is %d', (fraction, expected) => {
  expect(percentile([1, 2, 3, 4], fraction)).toBeCloseTo(expected, 12);
});

test('one value is every percentile, no value is none', () => {
  expect(percentile([7], 0.99)).toBe(7);
  expect(percentile([], 0.5)).toBeNaN();
});

test('median of values in any order, sorted as numbers', () => {
  expect(median([10, 9, 100])).toBe(10);
});

test('summary of latencies', () => {
  const latency = summarize([4, 1, 3, 2, 10]);
  expect(latency).toEqual({
    p50: 3,
    p90: expect.closeTo(7.6, 9),
    p99: expect.closeTo(9.76, 9),
    mean: 4,
    min: 1,
    count: 5,
  });
  expect(throughputPerSecond(latency)).toBe(250);
});
