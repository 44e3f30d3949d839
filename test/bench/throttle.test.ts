import { describe, expect, test } from '@jest/globals';
import type { Sample } from '../../agent/bench/sampling.ts';
import {
  BLIND_WAIT_MS,
  isCool,
  isHeat,
  mayRepeat,
  throttleReasons,
  type ClockReference,
} from '../../agent/bench/throttle.ts';

const GHZ = 1e9;
const NO_REFERENCE: ClockReference = {
  processor: 'cpu',
  limitHz: 1.8 * GHZ,
  turnsHz: [],
  heldAtLimit: false,
};

/** A Pi at 60 °C that nothing slows down. */
function sample(changes: Partial<Sample> = {}): Sample {
  return {
    atMs: 0,
    celsius: 60,
    zone: 'cpu-thermal',
    frequencyHz: 1.8 * GHZ,
    limitHz: 1.8 * GHZ,
    gpuHz: null,
    gpuLoadShare: null,
    throttling: { now: [], sinceBoot: [], events: null },
    tripped: [],
    cooling: [],
    power: null,
    ...changes,
  };
}

const bits = (now: string[], sinceBoot: string[] = now) => ({
  throttling: { now, sinceBoot, events: null },
});
const seen = (before: Sample, during: readonly Sample[], after: Sample) => ({
  before,
  during,
  after,
});
const quiet = seen(sample(), [sample()], sample());
const clocks = (...hz: readonly number[]) =>
  seen(
    sample(),
    hz.map((frequencyHz) => sample({ frequencyHz })),
    sample({ frequencyHz: 0.6 * GHZ }),
  );

describe('throttling', () => {
  test('a quiet turn is none, and a clock that falls behind it is idling', () => {
    expect(throttleReasons(quiet, NO_REFERENCE)).toEqual([]);
    expect(throttleReasons(clocks(1.8 * GHZ), NO_REFERENCE)).toEqual([]);
  });

  test('a bit of the firmware that is set during the turn', () => {
    const turn = seen(sample(), [sample(), sample(bits(['soft-temperature-limit']))], sample());
    expect(throttleReasons(turn, NO_REFERENCE)).toEqual(['soft-temperature-limit']);
  });

  test('a bit that was set only before the turn belongs to another', () => {
    const old = bits([], ['throttled']);
    const turn = seen(sample(bits(['throttled'])), [sample(old)], sample(old));
    expect(throttleReasons(turn, NO_REFERENCE)).toEqual([]);
  });

  test('a since-boot bit that is new: it happened between two looks', () => {
    const turn = seen(sample(), [sample()], sample(bits([], ['under-voltage'])));
    expect(throttleReasons(turn, NO_REFERENCE)).toEqual(['under-voltage']);
  });

  test("a counter of the processor's own slowing down that goes on", () => {
    const count = (events: number) => sample({ throttling: { now: [], sinceBoot: [], events } });
    expect(throttleReasons(seen(count(7), [], count(7)), NO_REFERENCE)).toEqual([]);
    expect(throttleReasons(seen(count(7), [], count(9)), NO_REFERENCE)).toEqual(['throttled']);
  });

  test('a trip, a cooling device and a lower limit', () => {
    const hot = sample({
      tripped: ['cpu-thermal'],
      cooling: ['cpufreq-cpu0'],
      limitHz: 1.5 * GHZ,
    });
    expect(throttleReasons(seen(sample(), [hot], sample()), NO_REFERENCE)).toEqual([
      'thermal trip of cpu-thermal',
      'cooling by cpufreq-cpu0',
      'clock limit lowered',
    ]);
  });

  test("the clock against the candidate's own best turn: a tenth less is jitter", () => {
    const reference = { ...NO_REFERENCE, turnsHz: [1.7 * GHZ, 1.8 * GHZ] };
    expect(throttleReasons(clocks(1.62 * GHZ, 1.62 * GHZ), reference)).toEqual([]);
    expect(throttleReasons(clocks(1.61 * GHZ, 1.61 * GHZ), reference)).toEqual(['clock dropped']);
    // One low reading among three is the governor's hiccup: the median counts.
    expect(throttleReasons(clocks(1.8 * GHZ, 0.6 * GHZ, 1.8 * GHZ), reference)).toEqual([]);
  });

  test('the clock against its limit, where the governor holds it there', () => {
    expect(throttleReasons(clocks(1.5 * GHZ), NO_REFERENCE)).toEqual([]);
    const held = { ...NO_REFERENCE, heldAtLimit: true };
    expect(throttleReasons(clocks(1.5 * GHZ), held)).toEqual(['clock dropped']);
  });

  test('work of the GPU: its clock counts, and cores may idle', () => {
    const turn = (gpuHz: number) =>
      seen(sample(), [sample({ gpuHz, frequencyHz: 0.6 * GHZ })], sample());
    const reference = { ...NO_REFERENCE, processor: 'gpu', turnsHz: [GHZ] } as const;
    expect(throttleReasons(turn(0.95 * GHZ), reference)).toEqual([]);
    expect(throttleReasons(turn(0.6 * GHZ), reference)).toEqual(['clock dropped']);
  });

  test('a turn too short for a look says nothing of the clock', () => {
    expect(throttleReasons(clocks(), { ...NO_REFERENCE, heldAtLimit: true })).toEqual([]);
  });
});

describe('waiting', () => {
  const start = { celsius: 50, limitHz: 1.8 * GHZ };

  test('cool is 5 °C above the start or less, with nothing that slows down', () => {
    expect(isCool(sample({ celsius: 55 }), start, 0)).toBe(true);
    expect(isCool(sample({ celsius: 55.1 }), start, 60_000)).toBe(false);
    const cold = { celsius: 40 };
    expect(isCool(sample({ ...cold, ...bits(['throttled']) }), start, 0)).toBe(false);
    expect(isCool(sample({ ...cold, tripped: ['tj'] }), start, 0)).toBe(false);
    expect(isCool(sample({ ...cold, cooling: ['cpufreq-cpu0'] }), start, 0)).toBe(false);
    expect(isCool(sample({ ...cold, limitHz: 1.5 * GHZ }), start, 0)).toBe(false);
    // No wait mends a weak power supply.
    expect(isCool(sample({ ...cold, ...bits(['under-voltage']) }), start, 0)).toBe(true);
  });

  test('without a temperature time has to do', () => {
    expect(isCool(sample({ celsius: null }), start, BLIND_WAIT_MS - 1)).toBe(false);
    expect(isCool(sample({ celsius: null }), start, BLIND_WAIT_MS)).toBe(true);
  });

  test('only heat is waited for', () => {
    expect(isHeat([])).toBe(false);
    expect(isHeat(['under-voltage'])).toBe(false);
    expect(isHeat(['under-voltage', 'throttled'])).toBe(true);
  });

  test('waiting is bounded: repeats of a candidate, seconds of a run, and never again in vain', () => {
    const budget = { limitSeconds: 60, waitedSeconds: 0, inVain: false };
    const hot = ['throttled'];
    expect(mayRepeat(hot, 0, budget)).toBe(true);
    expect(mayRepeat(hot, 4, budget)).toBe(true);
    expect(mayRepeat(hot, 5, budget)).toBe(false);
    expect(mayRepeat(['under-voltage'], 0, budget)).toBe(false);
    expect(mayRepeat(hot, 0, { ...budget, limitSeconds: null })).toBe(false);
    expect(mayRepeat(hot, 0, { ...budget, inVain: true })).toBe(false);
    expect(mayRepeat(hot, 0, { ...budget, waitedSeconds: 599 })).toBe(true);
    expect(mayRepeat(hot, 0, { ...budget, waitedSeconds: 600 })).toBe(false);
  });
});
