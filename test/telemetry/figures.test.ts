import { describe, expect, test } from '@jest/globals';
import { metricUnits, metrics, metricsOf } from '../../agent/contracts/metrics.ts';
import { telemetryStreams } from '../../agent/contracts/ids.ts';
import { driftOf } from '../../agent/telemetry/drift.ts';
import { EnergyCounter } from '../../agent/telemetry/energy.ts';

describe('the catalog', () => {
  test('names every metric once, with its unit in the name', () => {
    expect(new Set(metrics.map(({ name }) => name)).size).toBe(metrics.length);
    expect(metrics.every(({ unit }) => metricUnits.includes(unit))).toBe(true);
    const endings: Readonly<Record<string, RegExp>> = {
      celsius: /Celsius$/,
      bytes: /Bytes$/,
      watts: /Watts$/,
      joules: /Joules$/,
      milliseconds: /Ms$/,
      decibels: /Db$/,
      seconds: /Seconds$/,
    };
    for (const { name, unit } of metrics) {
      const ending = endings[unit];
      expect(name).toMatch(ending ?? /./);
    }
    for (const stream of telemetryStreams) expect(metricsOf(stream).size).toBeGreaterThan(5);
  });

  test('has a dead band for every metric, never below the step it is sent in', () => {
    for (const { name, deadBand, step } of metrics) {
      const { absolute = 0, relative = 0 } = deadBand;
      expect([name, absolute > 0 || relative > 0]).toEqual([name, true]);
      expect([name, absolute === 0 || absolute >= step]).toEqual([name, true]);
    }
  });

  test('gives metrics that share a name of Prometheus one help, one type and the same labels', () => {
    for (const { prometheus: one } of metrics) {
      const same = metrics.filter(({ prometheus }) => prometheus.name === one.name);
      expect(
        new Set(same.map(({ prometheus }) => `${prometheus.type} ${prometheus.help}`)).size,
      ).toBe(1);
      const keys = same.map(({ prometheus }) => Object.keys(prometheus.labels ?? {}).join());
      expect(new Set(keys).size).toBe(1);
      const values = same.map(({ prometheus }) => Object.values(prometheus.labels ?? {}).join());
      expect(new Set(values).size).toBe(same.length);
    }
  });
});

describe('energy', () => {
  test('is added up from power: 2 W for 10 s and the way from 2 to 4 W in 10 s are 50 J', () => {
    const counter = new EnergyCounter();
    expect(counter.add({ atMs: 0, milliwatts: 2000 })).toEqual({ watts: 2, joules: 0 });
    expect(counter.add({ atMs: 10_000, milliwatts: 2000 })).toEqual({ watts: 2, joules: 20 });
    expect(counter.add({ atMs: 20_000, milliwatts: 4000 })).toEqual({ watts: 4, joules: 50 });
    // A day without a reading is not made up.
    expect(counter.add({ atMs: 86_420_000, milliwatts: 4000 })).toEqual({ watts: 4, joules: 50 });
    expect(counter.add(null)).toEqual({ watts: null, joules: null });
  });

  test('gives power where it is counted: 30 J in 10 s are 3 W', () => {
    const counter = new EnergyCounter();
    expect(counter.add({ atMs: 0, millijoules: 0 })).toEqual({ watts: null, joules: 0 });
    expect(counter.add({ atMs: 10_000, millijoules: 30_000 })).toEqual({ watts: 3, joules: 30 });
  });
});

describe('drift', () => {
  const limits = { maxP90Ratio: 1.5, maxAccuracyDrop: 0.01 };
  const deployed = { p90Ms: 10, accuracy: 0.9 };

  test.each([
    [{ p90Ms: 15, accuracy: 0.895 }, []],
    [{ p90Ms: 15.1, accuracy: 0.9 }, ['latency']],
    [{ p90Ms: 5, accuracy: 0.88 }, ['accuracy']],
    [{ p90Ms: 20, accuracy: 0.5 }, ['latency', 'accuracy']],
    [{ p90Ms: null, accuracy: null }, []],
    [{ p90Ms: 9, accuracy: 0.95 }, []],
  ])('of %o passes %o', (now, beyond) => {
    expect(driftOf(now, deployed, limits).beyond).toEqual(beyond);
  });

  test('is not told against what is not known', () => {
    const unknown = { p90Ms: null, accuracy: null };
    expect(driftOf({ p90Ms: 99, accuracy: 0 }, unknown, limits)).toEqual({
      p90Ratio: null,
      accuracyDrop: null,
      beyond: [],
    });
  });
});
