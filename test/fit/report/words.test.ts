import { expect, test } from '@jest/globals';
import {
  apart,
  bytesText,
  moreText,
  msAgainst,
  threeDigits,
} from '../../../agent/fit/report/words.ts';

test.each([
  [0, '0.000'],
  [0.1234, '0.123'],
  [1.699, '1.70'],
  [31.44, '31.4'],
  [512.4, '512'],
])('threeDigits(%d) is %s', (value, text) => {
  expect(threeDigits(value)).toBe(text);
});

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [26_454, '26.5 kB'],
  [1_882_904, '1.88 MB'],
  [8_200_000_000, '8.20 GB'],
])('bytesText(%d) is %s', (value, text) => {
  expect(bytesText(value)).toBe(text);
});

test.each([
  [3.1, 1.7, '1.8x slower'],
  [30, 2, '15x slower'],
  [1.04, 1, '4% slower'],
  [1.001, 1, 'slightly slower'],
  [1, 0, 'slower'],
])('moreText(%d, %d) is %s', (value, base, text) => {
  expect(moreText(value, base, 'slower')).toBe(text);
});

test('two numbers get as many decimals as tell them apart', () => {
  expect(apart(5.62, 1)).toEqual(['5.6', '1.0']);
  expect(apart(1.04, 1)).toEqual(['1.04', '1.00']);
  expect(apart(2, 2)).toEqual(['2.0', '2.0']);
  expect(msAgainst(0.1236, 0.12)).toBe('0.124 against 0.120 ms');
  expect(msAgainst(31.4, 12.2)).toBe('31.4 against 12.2 ms');
});
