import { describe, expect, test } from '@jest/globals';
import { energyInWindow, powerFigures } from '../../agent/bench/energy.ts';

const power = (atMs: number, milliwatts: number) => ({ atMs, milliwatts });
const counter = (atMs: number, millijoules: number) => ({ atMs, millijoules });

describe('energy from power', () => {
  test('trapezoids between readings, the first and last held to the edges', () => {
    // 1000..1250 at 2 W, 2 W to 4 W until 1750, 4 W until 2000: 500 + 1500 + 1000 mJ.
    const readings = [power(1250, 2000), power(1750, 4000)];
    expect(energyInWindow(readings, { startMs: 1000, endMs: 2000 })).toEqual({
      millijoules: 500 + 1500 + 1000,
      readings: 2,
    });
  });

  test('what was read before and after belongs to something else', () => {
    const readings = [power(900, 9000), power(1500, 3000), power(2100, 9000)];
    expect(energyInWindow(readings, { startMs: 1000, endMs: 2000 })?.millijoules).toBe(3000);
    expect(energyInWindow([power(900, 9000), null], { startMs: 1000, endMs: 2000 })).toBeNull();
  });

  test('a slow source that repeats its reading counts once', () => {
    const readings = [power(1500, 3000), power(1500, 3000), power(1500, 3000)];
    expect(energyInWindow(readings, { startMs: 1000, endMs: 2000 })).toEqual({
      millijoules: 3000,
      readings: 1,
    });
  });
});

describe('energy from a counter', () => {
  test('the difference between both edges, on straight lines between readings', () => {
    // 10 mJ per ms up to 1100, then 5: at 1000 it has 1000, at 1900 it has 2000 + 800 * 5 = 6000.
    const readings = [counter(900, 0), counter(1100, 2000), counter(2100, 7000)];
    expect(energyInWindow(readings, { startMs: 1000, endMs: 1900 })).toEqual({
      millijoules: 6000 - 1000,
      readings: 3,
    });
  });

  test('a window that the readings do not cover is not guessed', () => {
    const readings = [counter(1100, 0), counter(2100, 5000)];
    expect(energyInWindow(readings, { startMs: 1000, endMs: 1900 })).toBeNull();
    expect(energyInWindow([counter(900, 0)], { startMs: 1000, endMs: 1900 })).toBeNull();
  });
});

test('power and energy per inference: only stretches whose energy is known', () => {
  const known = { energy: { millijoules: 600, readings: 2 }, busyMs: 200, inferences: 20 };
  const other = { energy: { millijoules: 400, readings: 1 }, busyMs: 300, inferences: 30 };
  const unknown = { energy: null, busyMs: 1000, inferences: 100 };
  // 1000 mJ in 500 ms are 2 W; by 50 inferences 20 mJ each.
  expect(powerFigures([known, unknown, other])).toEqual({
    meanMilliwatts: 2000,
    energyPerInferenceMillijoules: 20,
    readings: 3,
  });
  expect(powerFigures([unknown])).toBeNull();
});
