import { expect, test } from '@jest/globals';
import { MetricNames } from '../../../../agent/dashboard/server/history/metric-names.ts';

const others = (count: number, prefix: string) =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`${prefix}${at}`, at]));

test('one device brings thirty-two names of its own, and those of the agent always', () => {
  const names = new MetricNames();
  const kept = names.admit('pi-1', { ...others(2000, 'x'), socCelsius: 50 });
  expect(Object.keys(kept)).toHaveLength(33);
  expect(kept).toMatchObject({ x0: 0, x31: 31, socCelsius: 50 });
  expect(names.admit('pi-1', { x5: 7, x32: 8 })).toEqual({ x5: 7 });
  expect(names.admit('pi-2', { x40: 1 })).toEqual({ x40: 1 });
});

test('a fleet brings a thousand, and then what is known goes on', () => {
  const names = new MetricNames();
  for (let device = 0; device < 40; device += 1) {
    names.admit(`pi-${device}`, others(32, `of-${device}-`));
  }
  expect(names.admit('new', { late: 1, 'of-3-7': 2, cpuRatio: 0.5 })).toEqual({
    'of-3-7': 2,
    cpuRatio: 0.5,
  });
});

test('what can be no name is left out; what is all in order is not copied', () => {
  const names = new MetricNames();
  expect(names.admit('pi-1', { 'a b': 1, __proto__x: 2, é: 3 })).toEqual({ __proto__x: 2 });
  const values = { socCelsius: 1, cpuRatio: null };
  expect(names.admit('pi-1', values)).toBe(values);
});
