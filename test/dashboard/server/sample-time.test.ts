import { expect, test } from '@jest/globals';
import { Admission } from '../../../agent/dashboard/server/fleet/admission.ts';
import { SampleTimes } from '../../../agent/dashboard/server/fleet/sample-time.ts';

const NOW = Date.UTC(2026, 5, 10);
const HOUR = 3_600_000;
const base = { deviceId: 'pi-1', mono: 1000, bootId: 'a', isReplay: false };

test.each([
  ['a clock that agrees is believed', { ts: NOW - 5000 }, NOW - 5000],
  ['a little ahead is now', { ts: NOW + 5000 }, NOW],
  ['1970 is the arrival', { ts: 0 }, NOW],
  ['next year is the arrival', { ts: NOW + 8760 * HOUR }, NOW],
  ['an hour ago is the arrival', { ts: NOW - HOUR }, NOW],
  ['unless it is sent again after an outage', { ts: NOW - HOUR, isReplay: true }, NOW - HOUR],
  ['but not from last month', { ts: NOW - 720 * HOUR, isReplay: true }, NOW],
])('%s', (_, given, expected) => {
  expect(new SampleTimes().dateOf({ ...base, ...given }, NOW)).toBe(expected);
});

test('the time since boot puts those of a wrong clock in order', () => {
  const times = new SampleTimes();
  expect(times.dateOf({ ...base, ts: 0, mono: 60_000 }, NOW)).toBe(NOW);
  // Measured 10 s before the one that came first.
  expect(times.dateOf({ ...base, ts: 0, mono: 50_000 }, NOW + 1)).toBe(NOW - 10_000);
  // Of another boot nothing is known.
  expect(times.dateOf({ ...base, ts: 0, mono: 10, bootId: 'b' }, NOW + 2)).toBe(NOW + 2);
});

test('so many messages pass in a second, of one device and of all', () => {
  let now = 0;
  const admission = new Admission({ perDevice: 2, total: 5 }, () => now);
  const passed = ['a', 'a', 'a', 'b', 'c', 'd', 'e'].map((device) => admission.admit(device));
  expect(passed).toEqual([true, true, false, true, true, true, false]);
  expect(admission.refused).toBe(2);
  now = 1000;
  expect(admission.admit('a')).toBe(true);
});
