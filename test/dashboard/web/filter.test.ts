import { expect, test } from '@jest/globals';
import type { DeviceRow } from '../../../agent/contracts/dashboard.ts';
import {
  filterRows,
  hasTerm,
  parseFilter,
  toggleTerm,
} from '../../../agent/dashboard/web/fleet/filter.ts';

const row: DeviceRow = {
  deviceId: 'Pi-7',
  state: 'online',
  lastSeenMs: 1,
  class: 'rpi-5',
  board: 'Raspberry Pi 5 Model B',
  tags: ['site-a', 'lab'],
  agent: '0.1.0',
  model: { name: 'kws', version: '2.0.0', precision: 'int8', digest: 'd', releaseCounter: 2 },
  p90Ms: 12.5,
  accuracy: null,
  celsius: null,
  throttled: false,
  job: null,
  cloned: false,
};
const bare: DeviceRow = {
  ...row,
  deviceId: 'new',
  class: null,
  tags: [],
  model: null,
  p90Ms: null,
};

test.each([
  ['', true],
  ['pi', true],
  ['raspberry kws', true],
  ['raspberry nothing', false],
  ['class=rpi-5', true],
  ['class=RPI-5 and tag=lab', true],
  ['class = rpi-5 tag != lab', false],
  ['class=rpi-*', true],
  ['class=*-4b', false],
  ['p90>12 p90<=12.5', true],
  ['p90>12.5', false],
  ['temp>0', false],
  ['class=rpi-4b or tag=site-a', true],
  ['not (class=rpi-4b or tag=site-a)', false],
  ['class in (rpi-4b, rpi-5)', true],
  ['class in (rpi-4b)', false],
  ['board="Raspberry Pi 5 Model B"', true],
  ['accuracy=none', true],
  // What is half typed empties nothing.
  ['class=rpi-5 and', true],
  ['(class=rpi-5', true],
  ['class=rpi-5)', true],
  ['class=rpi-5 or', true],
  ['not', true],
  ['class=', true],
  ['pi class= ', true],
  ['class!=', true],
  ['class in (', true],
  ['class in ()', true],
  ['p90>', true],
  ['p90>-', true],
  ['state=online and tag=', true],
  ['board="', true],
  ['board="Raspberry Pi 5 Model B', true],
  ['class=""', true],
  // No field is called so: it is a word like any other.
  ['constructor=1', false],
])('%j fits the device: %p', (text, fits) => {
  expect(parseFilter(text)(row)).toBe(fits);
});

test.each([
  ['class=none', true],
  ['tag=none', true],
  ['tag!=lab', true],
  ['precision=none', true],
  ['p90<1000', false],
])('%j fits a device of which little is known: %p', (text, fits) => {
  expect(parseFilter(text)(bare)).toBe(fits);
});

test('a deeply nested filter is read to its end', () => {
  expect(parseFilter('('.repeat(10_000) + 'pi')(row)).toBe(true);
  expect(() => parseFilter('not '.repeat(10_000) + 'pi')(row)).not.toThrow();
});

test.each([
  ['cla', 1],
  ['pi CLASS', 1],
  ['(mod', 1],
  ['class in', 1],
  ['class=rpi', 1],
  ['tag=lab and class=r', 1],
  ['board="Rasp', 1],
  ['class in (jetson, rp', 1],
  ['class=jetson', 0],
  ['zebra', 0],
  ['p90>1000', 0],
  // It is whole: somebody has gone on.
  ['class=rpi ', 0],
  ['class in (rpi)', 0],
  ['board="Rasp"', 0],
])('while %j is typed, %d devices fit', (text, count) => {
  expect(filterRows([row], text, true)).toHaveLength(count);
});

test('what is no longer typed is meant as it stands', () => {
  expect(filterRows([row], 'class=rpi', false)).toEqual([]);
  expect(filterRows([row], 'cla', false)).toEqual([]);
  expect(filterRows([row, bare], 'class=rpi-5', true)).toEqual([row]);
});

test('a term is added and taken away again', () => {
  const both = toggleTerm('pi', 'state=online');
  expect(both).toBe('pi state=online');
  expect(hasTerm(both, 'state=online')).toBe(true);
  expect(toggleTerm(both, 'state=online')).toBe('pi');
});
