import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { backoffMs } from '../../../agent/fleet/device/backoff.ts';

const limits = { minMs: 1000, maxMs: 60_000 };

test.each([
  [0, 0, 500],
  [0, 0.5, 750],
  [1, 0, 1000],
  [3, 0, 4000],
  [5, 0.5, 24_000],
  // 64 s is over the maximum: half of 60 s and a half of the other half.
  [6, 0.5, 45_000],
  [1000, 0, 30_000],
])('attempt %d with random %d waits %d ms', (attempt, random, expected) => {
  expect(backoffMs(attempt, limits, random)).toBe(expected);
});

test('never waits less than half the minimum or more than the maximum', () => {
  const details = fc.check(
    fc.property(fc.nat(), fc.double({ min: 0, max: 0.999, noNaN: true }), (attempt, random) => {
      const waitMs = backoffMs(attempt, limits, random);
      return waitMs >= 500 && waitMs <= 60_000;
    }),
  );
  expect(details.failed).toBe(false);
});
