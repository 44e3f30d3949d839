import { expect, test } from '@jest/globals';
import type { DeviceRow } from '../../../agent/contracts/dashboard.ts';
import { groupLines, sortRows } from '../../../agent/dashboard/web/fleet/order.ts';
import { mapPrecisions, median, summarize } from '../../../agent/dashboard/web/fleet/summary.ts';
import { moveMark, visibleRows } from '../../../agent/dashboard/web/fleet/visible.ts';

function row(deviceId: string, given: Partial<DeviceRow> = {}): DeviceRow {
  return {
    deviceId,
    state: 'online',
    lastSeenMs: null,
    class: 'rpi-5',
    board: null,
    tags: [],
    agent: null,
    model: null,
    p90Ms: null,
    accuracy: null,
    celsius: null,
    throttled: null,
    job: null,
    cloned: false,
    ...given,
  };
}

const model = (precision: string) => ({
  name: 'kws',
  version: '1',
  precision,
  digest: 'd',
  releaseCounter: 1,
});
const ids = (rows: readonly DeviceRow[]) => rows.map(({ deviceId }) => deviceId);

test('ids are sorted as people count, in both directions', () => {
  const rows = [row('pi-10'), row('pi-2'), row('pi-1')];
  expect(ids(sortRows(rows, { key: 'device', descending: false }))).toEqual([
    'pi-1',
    'pi-2',
    'pi-10',
  ]);
  expect(ids(sortRows(rows, { key: 'device', descending: true }))).toEqual([
    'pi-10',
    'pi-2',
    'pi-1',
  ]);
});

test('unknown values come last in both directions, equal ones by id', () => {
  const rows = [row('d'), row('c', { p90Ms: 2 }), row('b', { p90Ms: 1 }), row('a', { p90Ms: 2 })];
  expect(ids(sortRows(rows, { key: 'p90', descending: false }))).toEqual(['b', 'a', 'c', 'd']);
  expect(ids(sortRows(rows, { key: 'p90', descending: true }))).toEqual(['a', 'c', 'b', 'd']);
});

test('groups stand by name and count who is online', () => {
  const rows = [
    row('a'),
    row('b', { class: 'coral', state: 'offline' }),
    row('c', { class: null }),
  ];
  expect(groupLines(rows).filter((line) => line.kind === 'group')).toEqual([
    { kind: 'group', name: 'class unknown', devices: 1, online: 1 },
    { kind: 'group', name: 'coral', devices: 1, online: 0 },
    { kind: 'group', name: 'rpi-5', devices: 1, online: 1 },
  ]);
});

test('the map counts precisions by class, with the median of p90', () => {
  const rows = [
    row('a', { model: model('int8'), p90Ms: 4 }),
    row('b', { model: model('int8'), p90Ms: 8 }),
    row('c', { model: model('fp32'), p90Ms: 20 }),
    row('d', { class: 'coral' }),
  ];
  expect(mapPrecisions(rows)).toEqual({
    precisions: ['int8', 'fp16', 'fp32', 'none'],
    rows: [
      { class: 'rpi-5', devices: 3, counts: [2, 0, 1, 0], medianP90Ms: [6, null, 20, null] },
      { class: 'coral', devices: 1, counts: [0, 0, 0, 1], medianP90Ms: [null, null, null, null] },
    ],
  });
});

test('the summary counts states, jobs and heat', () => {
  const job = { jobId: 'j', jobType: 'deploy', phase: 'fitting', status: 'IN_PROGRESS' };
  const rows = [
    row('a', { job, celsius: 50, throttled: true }),
    row('b', { job: { ...job, status: 'FAILED' }, celsius: 70 }),
    // As hot as it was when it was last heard.
    row('c', { state: 'silent', job: null, celsius: 90, throttled: true }),
  ];
  expect(summarize(rows)).toMatchObject({
    devices: 3,
    states: { online: 2, offline: 0, draining: 0, silent: 1 },
    busy: 1,
    failed: 1,
    throttled: 1,
    maxCelsius: 70,
    medianP90Ms: null,
  });
});

test('a median of none is none', () => {
  expect(median([])).toBeNull();
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 3, 2])).toBe(2.5);
});

test('only rows near the view are drawn', () => {
  expect(visibleRows(10_000, 34, { top: 3400, height: 340 })).toEqual({ first: 92, end: 118 });
  expect(visibleRows(5, 34, { top: 0, height: 340 })).toEqual({ first: 0, end: 5 });
  expect(visibleRows(0, 34, { top: 0, height: 340 })).toEqual({ first: 0, end: 0 });
  // Scrolled far down when a filter leaves three.
  expect(visibleRows(3, 34, { top: 34_000, height: 340 })).toEqual({ first: 2, end: 3 });
});

test('keys move the mark within the table', () => {
  expect(moveMark('ArrowDown', -1, 10, 5)).toBe(0);
  expect(moveMark('PageDown', 8, 10, 5)).toBe(9);
  expect(moveMark('End', 0, 10, 5)).toBe(9);
  expect(moveMark('ArrowUp', 0, 10, 5)).toBe(0);
  expect(moveMark('a', 0, 10, 5)).toBeNull();
  expect(moveMark('Home', 0, 0, 5)).toBeNull();
});
