import { expect, test } from '@jest/globals';
import { wantsColor, widthOf } from '../../agent/cli/output.ts';

const stream = (isTTY: boolean, columns?: number) => ({ write: () => true, isTTY, columns });

test.each([
  [stream(true, 120), {}, 120],
  [stream(true, 40), {}, 80],
  [stream(true, 999), {}, 240],
  [stream(true), {}, 80],
  [stream(false), {}, 80],
  [stream(false), { COLUMNS: '160' }, 160],
  [stream(false), { COLUMNS: 'wide' }, 80],
  [stream(true, 100), { COLUMNS: '160' }, 100],
])('width %#', (target, env, expected) => {
  expect(widthOf(target, env)).toBe(expected);
});

test.each([
  [stream(true), {}, true],
  [stream(true), { NO_COLOR: '' }, true],
  [stream(true), { NO_COLOR: '1' }, false],
  [stream(true), { TERM: 'dumb' }, false],
  [stream(false), {}, false],
])('color %#', (target, env, expected) => {
  expect(wantsColor(target, env)).toBe(expected);
});
