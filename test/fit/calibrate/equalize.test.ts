import { expect, test } from '@jest/globals';
import { valuesToLookAt } from '../../../agent/fit/calibrate/equalize.ts';

test('the values to look at are those of all tensors, 64 times', () => {
  const shapes = new Map([
    ['a', [1, 8, 4, 4]],
    ['b', [1, 10]],
    ['other', [1, 1000, 1000]],
  ]);
  expect(valuesToLookAt(['a', 'b'], shapes)).toBe(64 * (128 + 10));
  expect(valuesToLookAt([], shapes)).toBe(0);
});
