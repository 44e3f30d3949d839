import { expect, test } from '@jest/globals';
import {
  formatDuration,
  parseDuration,
  parseFailureLimit,
  parsePercent,
  parseRelease,
  parseWait,
  parseWaves,
  parseWindow,
} from '../../../agent/cli/fleet/parse.ts';

test.each([
  ['90s', 90],
  ['30m', 1800],
  ['1h30m', 5400],
  ['7d', 604_800],
  ['0.5h', 1800],
  ['45', 45],
])('the duration %s', (text, seconds) => {
  expect(parseDuration(text)).toBe(seconds);
});

test.each(['', 'm', '30 m', '-1s', '1w', '30mm', '1h!'])('%j is no duration', (text) => {
  expect(() => parseDuration(text)).toThrow('is no duration such as');
});

test('a wait is one that a timer can wait', () => {
  expect([parseWait(0.1)('0.1'), parseWait(1)('7d')]).toEqual([0.1, 604_800]);
  expect(() => parseWait(0.1)('0')).toThrow('use 0.1s to 7d');
  expect(() => parseWait(1)('30d')).toThrow('use 1s to 7d');
});

test.each([
  [45, '45 s'],
  [1800, '30 min'],
  [5400, '1 h 30 min'],
  [7200, '2 h'],
  [604_800, '7 d'],
])('%d seconds for people', (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});

test('percents and limits', () => {
  expect([parsePercent('5%'), parsePercent('0.5'), parsePercent('100 %')]).toEqual([5, 0.5, 100]);
  expect(() => parsePercent('101%')).toThrow('is no percentage');
  expect(parseFailureLimit('5%/10')).toEqual({ percent: 5, count: 10 });
  expect(() => parseFailureLimit('5%')).toThrow('a percentage and a number');
  expect(() => parseFailureLimit('5%/0')).toThrow('a percentage and a number');
});

test('waves grow', () => {
  expect(parseWaves('1%,10%,50,100%')).toEqual([1, 10, 50, 100]);
  expect(() => parseWaves('10%,10%')).toThrow('10% is not more than the wave before it');
  expect(() => parseWaves('0%')).toThrow('0% is not more');
});

test('releases', () => {
  expect(parseRelease('kws@2.1.0')).toEqual({ name: 'kws', version: '2.1.0' });
  for (const text of ['kws', '@1', 'kws@', 'a@b@c']) {
    expect(() => parseRelease(text)).toThrow('use NAME@VERSION');
  }
});

test.each([
  ['02:00-05:00', { cron: '0 2 * * *', durationMinutes: 180 }],
  ['22:30-01:00', { cron: '30 22 * * *', durationMinutes: 150 }],
  [
    '2:00-5:00 Europe/Berlin',
    { cron: '0 2 * * *', durationMinutes: 180, timeZone: 'Europe/Berlin' },
  ],
  ['0 2 * * 1-5 for 3h', { cron: '0 2 * * 1-5', durationMinutes: 180 }],
  ['0 2 * * 6 for 90m in UTC', { cron: '0 2 * * 6', durationMinutes: 90, timeZone: 'UTC' }],
])('the window %s', (text, window) => {
  expect(parseWindow(text)).toEqual(window);
});

test.each([
  ['25:00-26:00', 'no such time of day'],
  ['02:00-02:00', 'A window lasts 1 to 1430'],
  ['02:00-05:00 Mars/Base', 'is no time zone'],
  ['61 2 * * * for 3h', '"61" is no minute: use 0 to 59'],
  ['whenever', 'is no window'],
])('%s is no window', (text, why) => {
  expect(() => parseWindow(text)).toThrow(why);
});
