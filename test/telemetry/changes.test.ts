import { describe, expect, test } from '@jest/globals';
import type { Metric } from '../../agent/contracts/metrics.ts';
import { ChangeReporter } from '../../agent/telemetry/changes.ts';

const metric = (name: string, deadBand: Metric['deadBand'], step = 0.1): [string, Metric] => [
  name,
  {
    stream: 'host',
    name,
    unit: 'count',
    help: name,
    deadBand,
    step,
    prometheus: { name: `edgefit_${name}`, type: 'gauge', help: name },
  },
];
const METRICS = new Map([
  metric('celsius', { absolute: 2 }),
  metric('bytes', { absolute: 100, relative: 0.1 }, 1),
]);
const HOUR = 3_600_000;
const reporter = () => new ChangeReporter(METRICS, HOUR);

describe('report by exception', () => {
  test('tells everything once, then only what left its dead band', () => {
    const report = reporter();
    expect(report.next({ celsius: 50.04, bytes: 1000 }, 0)).toEqual({
      full: true,
      values: { celsius: 50, bytes: 1000 },
    });
    expect(report.next({ celsius: 51.9, bytes: 1099 }, 1)).toBeNull();
    expect(report.next({ celsius: 52, bytes: 1099 }, 2)).toEqual({
      full: false,
      values: { celsius: 52 },
    });
    // The larger band counts: 10 % of 5000 is 500, although 100 would be enough.
    expect(report.next({ bytes: 5000 }, 3)).toMatchObject({ values: { bytes: 5000 } });
    expect(report.next({ bytes: 5499 }, 4)).toBeNull();
    expect(report.next({ bytes: 5500 }, 5)).toMatchObject({ values: { bytes: 5500 } });
  });

  test('tells a drift that no single sample shows', () => {
    const report = reporter();
    report.next({ celsius: 40 }, 0);
    const told = Array.from({ length: 20 }, (_, at) => report.next({ celsius: 40.5 + at / 2 }, at));
    // From 40 to 50 in steps of half a degree: at 42, 44, 46, 48 and 50.
    expect(told.flatMap((one) => one?.values['celsius'] ?? [])).toEqual([42, 44, 46, 48, 50]);
  });

  test('says once that a sensor is silent, and nothing of one that was never there', () => {
    const report = reporter();
    expect(report.next({ celsius: null, bytes: null }, 0)).toBeNull();
    expect(report.next({ celsius: 50 }, 1)).toEqual({ full: true, values: { celsius: 50 } });
    expect(report.next({ celsius: null }, 2)).toEqual({ full: false, values: { celsius: null } });
    expect(report.next({ celsius: null }, 3)).toBeNull();
    expect(report.next({ celsius: null, bytes: 5 }, HOUR + 1)).toEqual({
      full: true,
      values: { bytes: 5 },
    });
    expect(report.next({ celsius: 50 }, HOUR + 2)).toEqual({
      full: false,
      values: { celsius: 50 },
    });
  });

  test('tells everything again after its time, and when it is asked to', () => {
    const report = reporter();
    report.next({ celsius: 50, bytes: 1 }, 0);
    expect(report.next({ celsius: 50, bytes: 1 }, HOUR - 1)).toBeNull();
    expect(report.next({ celsius: 50, bytes: 1 }, HOUR)).toMatchObject({ full: true });
    report.reset();
    expect(report.next({ celsius: 50, bytes: 1 }, HOUR + 1)).toMatchObject({ full: true });
  });

  test('passes over what is no number and what is no metric', () => {
    expect(reporter().next({ celsius: Number.NaN, bytes: Infinity, other: 3 }, 0)).toBeNull();
  });
});
