import { expect, test } from '@jest/globals';
import { differenceOf, figures } from '../../../agent/dashboard/web/compare/difference.ts';
import { chosenRow, pairRows } from '../../../agent/dashboard/web/compare/pairs.ts';
import type { Compared } from '../../../agent/contracts/dashboard.ts';
import { columnsOf } from '../../../agent/dashboard/web/device/live-series.ts';
import { linearScale, niceTicks } from '../../../agent/dashboard/web/device/scale.ts';
import { readForm, EMPTY_FORM } from '../../../agent/dashboard/web/rollouts/spec-form.ts';
import { soakLeft } from '../../../agent/dashboard/web/rollouts/wave-words.ts';
import { linkTo, parsePlace } from '../../../agent/dashboard/web/state/router.ts';
import {
  formatAgo,
  formatBytes,
  formatDifference,
  formatMs,
  formatPart,
  formatSpan,
} from '../../../agent/dashboard/web/ui/format.ts';

test('figures are short, and unknown is never 0', () => {
  expect([0.5, 4.214, 42.14, 421.4, 4214, null].map(formatMs)).toEqual([
    '0.50',
    '4.21',
    '42.1',
    '421',
    '4,214',
    '–',
  ]);
  expect([900, 1536, 300 * 1024 ** 2].map(formatBytes)).toEqual(['900 B', '1.5 KiB', '300 MiB']);
  expect([120, 1400, 65_000, 7_500_000, 90_000_000].map(formatSpan)).toEqual([
    '120 ms',
    '1.4 s',
    '1 min 5 s',
    '2 h 5 min',
    '1 d 1 h',
  ]);
  expect([1.25, -0.44, 0.04, null].map((value) => formatDifference(value))).toEqual([
    '+1.3',
    '−0.4',
    '±0',
    '–',
  ]);
});

test('what is not all is never 100 %', () => {
  expect(formatPart(9999, 10_000)).toBe('99 %');
  expect(formatPart(1, 10_000)).toBe('<1 %');
  expect(formatPart(5, 5)).toBe('100 %');
  expect(formatPart(0, 0)).toBe('–');
});

test('a clock that is ahead was seen now, not in the future', () => {
  expect(formatAgo(2_000_000, 1_000_000)).toBe('now');
  expect(formatAgo(1_000_000, 1_061_000)).toBe('1 min ago');
  expect(formatAgo(null, 0)).toBe('never');
});

test('a value holds until the next one comes', () => {
  const sources = {
    history: {
      a: [[1000, 5, 5, 5] as const, [3000, 7, 7, 7] as const].map((p) => [...p]) as never,
    },
    latest: { b: { value: 1, ts: 500 } },
    samples: [{ ts: 4000, values: { a: null, b: 2 } }],
  };
  expect(columnsOf(['a', 'b'], sources, { from: 2000, to: 5000 })).toEqual([
    [2, 3, 4, 5],
    [5, 7, null, null],
    [1, 1, 2, 2],
  ]);
});

test('while a device is away nothing holds, except what it sends of that time later', () => {
  const there = (ts: number, deviceOnline: number) => ({ ts, values: { deviceOnline } });
  const sources = {
    history: {},
    latest: { a: { value: 5, ts: 500 } },
    samples: [there(2000, 0), { ts: 4000, values: { a: 6 } }, there(5000, 0), there(7000, 1)],
  };
  expect(columnsOf(['a'], sources, { from: 1000, to: 8000 })).toEqual([
    [1, 2, 4, 5, 7, 8],
    [5, null, 6, null, 6, 6],
  ]);
});

test('an axis has round marks', () => {
  expect(niceTicks(0, 1, 4)).toEqual([0, 0.5, 1]);
  expect(niceTicks(86.2, 87, 4)).toEqual([86.2, 86.4, 86.6, 86.8, 87]);
  const scale = linearScale([5], { from: 100, to: 0, ticks: 4 });
  expect(scale.at(5)).toBeGreaterThan(0);
  expect(scale.at(5)).toBeLessThan(100);
  const latency = linearScale([0, 1.6], { from: 0, to: 100, ticks: 4, least: 0 });
  expect(latency.ticks).toEqual([0, 0.5, 1, 1.5, 2]);
  expect(latency.at(0)).toBe(0);
});

test('lower latency is better, lower accuracy is worse, and noise is neither', () => {
  const of = (key: string) => figures.find((figure) => figure.key === key)!;
  expect(differenceOf(of('p90Ms'), 10, 9)).toEqual({ text: '−10.0 %', verdict: 'better' });
  expect(differenceOf(of('accuracy'), 0.9, 0.88)).toEqual({ text: '−2.0 pt', verdict: 'worse' });
  expect(differenceOf(of('p90Ms'), 10, 10.05)).toEqual({ text: '+0.5 %', verdict: 'same' });
  expect(differenceOf(of('p90Ms'), null, 1)).toEqual({ text: '', verdict: 'none' });
});

test('a form is read, or every wrong field is named', () => {
  const filled = { ...EMPTY_FORM, name: 'kws', version: '2.0.0' };
  expect(readForm(filled, []).spec).toMatchObject({
    model: { name: 'kws', version: '2.0.0' },
    waves: [1, 10, 50, 100],
    soakSeconds: 1800,
  });
  const wrong = readForm(
    { ...EMPTY_FORM, waves: '50, 10', soakMinutes: 'x', failedCount: '0' },
    [],
  );
  expect(Object.keys(wrong.problems ?? {}).toSorted()).toEqual([
    'failedCount',
    'name',
    'soakMinutes',
    'version',
    'waves',
  ]);
});

test('the soak is counted down in whole seconds', () => {
  expect(soakLeft(125_400, 0)).toBe('2 min 6 s left to soak');
  expect(soakLeft(4200, 0)).toBe('5 s left to soak');
  expect(soakLeft(0, 1)).toBe('soaked; being judged');
});

test('addresses keep whatever an id may hold', () => {
  const link = linkTo(['devices', '<a/b>'], { q: 'class=rpi-5 and x', empty: '' });
  const { path, query } = parsePlace(link);
  expect(path).toEqual(['devices', '<a/b>']);
  expect(query.get('q')).toBe('class=rpi-5 and x');
  expect(parsePlace('#/devices/%E0%A4%A').path).toEqual(['devices', '%E0%A4%A']);
});

test('candidates that differ in threads alone are compared, and what each has chosen', () => {
  const one = (p90Ms: number, verdict: string): Compared => ({
    p50Ms: null,
    p90Ms,
    p99Ms: null,
    throughputPerSecond: null,
    bytes: null,
    peakRssBytes: null,
    integerCoverage: null,
    sqnrDb: null,
    accuracy: null,
    verdict,
  });
  const [a, b, c, d] = [one(1, 'chosen'), one(2, 'rejected'), one(3, 'rejected'), one(4, 'chosen')];
  const rows = [
    { candidate: 'tflite/int8/t2', left: a, right: null },
    { candidate: 'tflite/fp32/t2', left: b, right: null },
    { candidate: 'tflite/int8/t6', left: null, right: c },
    { candidate: 'tensorrt/fp16/t6', left: null, right: d },
  ];
  expect(pairRows(rows)).toEqual([
    { candidate: 'tflite/int8/t2 → t6', left: a, right: c },
    { candidate: 'tflite/fp32/t2', left: b, right: null },
    { candidate: 'tensorrt/fp16/t6', left: null, right: d },
  ]);
  expect(chosenRow(rows)).toEqual({
    candidate: 'tflite/int8/t2 → tensorrt/fp16/t6',
    left: a,
    right: d,
  });
});
