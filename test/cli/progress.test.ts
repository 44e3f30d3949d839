import { expect, test } from '@jest/globals';
import { createProgress, progressLine } from '../../agent/cli/progress.ts';

function stream(shape: { isTTY?: boolean; columns?: number }) {
  const written: string[] = [];
  return { ...shape, written, write: (text: string) => written.push(text) };
}

test('elsewhere than on a terminal: a line per phase', () => {
  const out = stream({});
  const progress = createProgress(out);
  progress.report({ phase: 'calibrating', done: 1, total: 2 });
  progress.report({ phase: 'calibrating', done: 2, total: 2 });
  progress.report({ phase: 'measuring\u001B[31m' });
  progress.clear();
  expect(out.written).toEqual(['agent: calibrating\n', 'agent: measuring [31m\n']);
});

test('on a terminal: one line, redrawn at most ten times a second, then wiped', () => {
  const out = stream({ isTTY: true, columns: 30 });
  let time = 0;
  const progress = createProgress(out, () => time);
  progress.report({ phase: 'calibrating', done: 0, total: 4 });
  time = 50;
  progress.report({ phase: 'calibrating', done: 1, total: 4 });
  time = 150;
  progress.report({ phase: 'calibrating', done: 2, total: 4 });
  progress.clear();
  progress.clear();
  expect(out.written).toEqual([
    '\r\u001B[K[....................] 0/4 ca',
    '\r\u001B[K[##########..........] 2/4 ca',
    '\r\u001B[K',
  ]);
});

test.each([
  [{ phase: 'loading' }, 'loading'],
  [{ phase: 'loading', done: 3 }, 'loading'],
  [{ phase: 'loading', done: 0, total: 0 }, 'loading'],
  [{ phase: 'loading', done: 9, total: 4 }, '[####################] 9/4 loading'],
])('%j reads %s', (event, line) => {
  expect(progressLine(event)).toBe(line);
});
