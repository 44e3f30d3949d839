import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import {
  TensorAccumulator,
  type AccumulatorState,
} from '../../agent/calibration/observers/accumulator.ts';
import type { Bins } from '../../agent/calibration/observers/bins.ts';
import { BINS, exponentFor, Histogram } from '../../agent/calibration/observers/histogram.ts';
import { mseRange, quantizationError } from '../../agent/calibration/observers/mse.ts';
import { percentileRange } from '../../agent/calibration/observers/percentile.ts';
import { extremesOf } from '../../agent/calibration/observers/scan.ts';
import {
  needsOf,
  nonFiniteTensors,
  nonFiniteWarnings,
  type ObserverOptions,
  toStatistics,
} from '../../agent/calibration/observers/statistics.ts';
import { observerNames } from '../../agent/contracts/scheme.ts';
import type { ObserverName } from '../../agent/model/statistics.ts';

const everything = { histogram: true, channels: true };

function accumulate(...samples: readonly (readonly number[])[]): AccumulatorState {
  const accumulator = new TensorAccumulator(everything);
  for (const sample of samples) accumulator.add(Float32Array.from(sample), [sample.length]);
  return accumulator.state();
}

function statisticsOf(state: AccumulatorState, observer: ObserverName, options?: ObserverOptions) {
  const collection = { samples: state.samples, tensors: new Map([['t', state]]) };
  return toStatistics(collection, observer, options).tensors.get('t');
}

function rangeOf(state: AccumulatorState, observer: ObserverName, options?: ObserverOptions) {
  const { min, max } = statisticsOf(state, observer, options) ?? {};
  return [min, max];
}

/** 1000 values spread evenly over -1..1, and one far away. */
const outlier = accumulate([...Array.from({ length: 1000 }, (_, i) => (i - 499.5) / 500), 100]);

describe('extremesOf', () => {
  test.each([
    [[3, -1, 2], { min: -1, max: 3, count: 3, nonFinite: 0 }],
    [[], { min: Infinity, max: -Infinity, count: 0, nonFinite: 0 }],
    [[7], { min: 7, max: 7, count: 1, nonFinite: 0 }],
    [[NaN, 1, Infinity, 2, -Infinity], { min: 1, max: 2, count: 2, nonFinite: 3 }],
    [[NaN], { min: Infinity, max: -Infinity, count: 0, nonFinite: 1 }],
  ])('of %j', (values, expected) => {
    expect(extremesOf(Float32Array.from(values))).toEqual(expected);
  });
});

const histogramOf = (...parts: readonly (readonly number[])[]) => {
  const histogram = new Histogram();
  for (const part of parts) {
    histogram.add(Float64Array.from(part), Math.min(...part), Math.max(...part));
  }
  return histogram.state();
};
const occupied = (counts: Float64Array = new Float64Array(0)) =>
  [...counts].flatMap((count, bin) => (count > 0 ? [[bin, count]] : []));

describe('Histogram', () => {
  test('bins start at multiples of a power of two', () => {
    const state = histogramOf([0, 0.25, 1]);
    // 2^-12 would need 4097 bins for 0 to 1.
    expect(state).toMatchObject({ exponent: -11, first: 0 });
    expect(state?.counts).toHaveLength(2049);
    expect(occupied(state?.counts)).toEqual([
      [0, 1],
      [512, 1],
      [2048, 1],
    ]);
  });

  test('widening merges neighbours', () => {
    const state = histogramOf([0, 1, 1 / 2048], [-3]);
    expect(state).toMatchObject({ exponent: -9, first: -1536 });
    // 0 and 1/2048 share a bin of 1/512 now; 1 is at 1536 + 512, -3 at 0.
    expect(occupied(state?.counts)).toEqual([
      [0, 1],
      [1536, 2],
      [2048, 1],
    ]);
  });

  test('tiny negative values stay below zero', () => {
    const state = histogramOf([-1e-30, 1e-30, -1, 1]);
    expect(occupied(state?.counts).map(([, count]) => count)).toEqual([1, 1, 1, 1]);
  });

  test.each([
    [5, 5],
    [0, 0],
    [-1e-45, 1e-45],
    [-3.4e38, 3.4e38],
    [-1.7e308, 1.7e308],
    [1e6, 1e6 + 0.0625],
    [-1e-3, 0],
  ])('every value from %d to %d has a bin', (min, max) => {
    const state = histogramOf([min, max]);
    expect(state?.counts.length).toBeLessThanOrEqual(BINS);
    expect(occupied(state?.counts).reduce((sum, [, count = 0]) => sum + count, 0)).toBe(2);
  });

  test('at least half of the bins are in use, unless the values are closer than their size', () => {
    fc.assert(
      fc.property(
        fc.float({ noNaN: true, noDefaultInfinity: true }),
        fc.float({ noNaN: true, noDefaultInfinity: true }),
        (a, b) => {
          const [min, max] = [Math.min(a, b), Math.max(a, b)];
          fc.pre(max - min > Math.max(Math.abs(min), Math.abs(max)) * 1e-6 && max - min > 1e-40);
          const width = 2 ** exponentFor(min, max);
          const bins = Math.floor(max / width) - Math.floor(min / width) + 1;
          expect(bins).toBeLessThanOrEqual(BINS);
          expect(bins).toBeGreaterThanOrEqual(BINS / 2);
        },
      ),
    );
  });

  test('the order of the values does not matter', () => {
    const floats = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 1 });
    fc.assert(
      fc.property(floats, floats, (a, b) => {
        const together = histogramOf([...a, ...b]);
        expect(histogramOf(a, b)).toEqual(together);
        expect(histogramOf(b, a)).toEqual(together);
      }),
    );
  });
});

describe('TensorAccumulator', () => {
  test('counts values that are not finite and leaves them out of everything', () => {
    const state = accumulate([1, NaN, 2], [Infinity, -1]);
    expect(state).toMatchObject({ samples: 2, count: 3, nonFinite: 2, min: -1, max: 2 });
    expect([...(state.channelSums ?? [])]).toEqual([]);
    expect(state.histogram?.counts.reduce((sum, count) => sum + count, 0)).toBe(3);
    const collection = { samples: 2, tensors: new Map([['t', state]]) };
    expect([...nonFiniteTensors(collection)]).toEqual([['t', 2]]);
    const line = "tensor 't' had 2 NaN or infinite values in calibration";
    expect(nonFiniteWarnings(collection)).toEqual([line]);
    expect(nonFiniteWarnings(collection, new Set(['t']))).toEqual([]);
    collection.tensors.set('u', state).set('v', state);
    expect(nonFiniteWarnings(collection)).toEqual([`${line}, and so had 2 more`]);
  });

  test('averages evenly over the first hundred samples, then gives new ones a hundredth', () => {
    expect(accumulate([0, 1], [2, 5])).toMatchObject({ averageMin: 1, averageMax: 3 });
    const many = Array.from({ length: 100 }, () => [0, 1]);
    expect(accumulate(...many, [100, 101])).toMatchObject({ averageMin: 1, averageMax: 2 });
  });

  test.each([
    ['axis 1 above rank 2', [1, 2, 3], [0, 1, 2, 3, 4, 5], [1, 4]],
    ['the last axis up to rank 2', [3, 2], [0, 1, 2, 3, 4, 5], [2, 3]],
    ['a batch', [2, 2, 1], [0, 10, 2, 30], [1, 20]],
    ['a NaN, which counts as 0', [1, 2, 1], [NaN, 4], [0, 4]],
  ])('channel means: %s', (_, shape, values, means) => {
    const accumulator = new TensorAccumulator(everything);
    accumulator.add(Float32Array.from(values), shape);
    accumulator.add(Float32Array.from(values), shape);
    const { channelMean } = statisticsOf(accumulator.state(), 'min-max') ?? {};
    expect([...(channelMean ?? [])]).toEqual(means);
  });

  test('channels that change between samples are dropped', () => {
    const accumulator = new TensorAccumulator(everything);
    accumulator.add(Float32Array.of(1, 2), [2]);
    accumulator.add(Float32Array.of(1, 2, 3), [3]);
    accumulator.add(Float32Array.of(1, 2), [2]);
    expect(accumulator.state()).toMatchObject({ channelSums: null, shape: [2], samples: 3 });
  });

  test('collects only what is needed', () => {
    const accumulator = new TensorAccumulator(needsOf('min-max'));
    accumulator.add(Float32Array.of(1, 2), [2]);
    expect(accumulator.state()).toMatchObject({ histogram: null, channelSums: null });
    expect(() => statisticsOf(accumulator.state(), 'mse')).toThrow(
      'tensor t has no histogram: collect again for the observer mse',
    );
  });

  test('memory does not grow with the range', () => {
    const accumulator = new TensorAccumulator(needsOf('mse'));
    for (let e = -40; e < 38; e += 1) accumulator.add(Float32Array.of(10 ** e, -(10 ** e)), [2]);
    expect(accumulator.state().histogram?.counts.length).toBeLessThanOrEqual(BINS);
  });
});

describe('observers', () => {
  test('min-max and moving-average', () => {
    const state = accumulate([-1, 2], [-3, 4]);
    expect(rangeOf(state, 'min-max')).toEqual([-3, 4]);
    expect(rangeOf(state, 'moving-average')).toEqual([-2, 3]);
  });

  test('percentile cuts evenly at both ends', () => {
    // 2000 values in 0..2000, one per bin of width 1: half a per cent are 5 at each end.
    const state = accumulate(Array.from({ length: 2001 }, (_, i) => i));
    expect(state.histogram?.exponent).toBe(-1);
    const [min = 0, max = 0] = rangeOf(state, 'percentile', { percentile: 99.5 });
    // 5.0025 values are cut: all of 0 to 4, and a little of the half bin of 5.
    expect(min).toBeCloseTo(5 + 0.0025 / 2, 6);
    // The last bin is only the point 2000 itself; then 1999.5, ... 1996.5.
    expect(max).toBeCloseTo(1995.5 - 0.0025 / 2, 6);
  });

  test('percentile drops a lone outlier, 99.999 of a thousand values drops none', () => {
    const [, max = 0] = rangeOf(outlier, 'percentile', { percentile: 99 });
    expect(max).toBeLessThan(1);
    expect(rangeOf(outlier, 'percentile')[1]).toBeGreaterThan(99.9);
  });

  test.each([0, -1, 101, NaN])('percentile %d is refused', (percentile) => {
    expect(() => rangeOf(outlier, 'percentile', { percentile })).toThrow('must be above 0');
  });

  test('mse clips an outlier when that costs less than a coarse step', () => {
    // 100000 values in -1..1 and one at 8: the step of -1..8 costs more than clipping 8 to 1.1.
    const values = Array.from({ length: 100_001 }, (_, i) => (i - 50_000) / 50_000);
    const state = accumulate([...values, 8]);
    const [min = 0, max = 0] = rangeOf(state, 'mse', { levels: 16 });
    expect(max).toBeLessThan(2);
    expect(max).toBeGreaterThan(0.9);
    expect(min).toBeLessThan(-0.8);
  });

  test('mse keeps both ends of an even distribution', () => {
    const state = accumulate(Array.from({ length: 4096 }, (_, i) => i / 4095));
    const [min, max = 0] = rangeOf(state, 'mse');
    expect(min).toBe(0);
    expect(max).toBeGreaterThan(0.99);
  });

  test('entropy gives up a far and thin tail', () => {
    const body = Array.from({ length: 200_000 }, (_, i) => Math.sin(i) * 2 + Math.sin(i * 1.618));
    const state = accumulate([...body, 40, -39]);
    const [min = 0, max = 0] = rangeOf(state, 'entropy');
    expect(max).toBeLessThan(20);
    expect(max).toBeGreaterThan(2.5);
    expect(min).toBe(-max);
  });

  test('entropy is not misled by the zeros of a rectifier', () => {
    const half = Array.from({ length: 100_000 }, (_, i) => Math.abs(Math.sin(i)));
    const zeros = Array.from({ length: 100_000 }, () => 0);
    const [min, max = 0] = rangeOf(accumulate([...half, ...zeros]), 'entropy');
    expect(min).toBe(0);
    expect(max).toBeGreaterThan(0.9);
  });

  test.each(observerNames)(
    '%s: constants, single values, empty and all-NaN tensors',
    (observer) => {
      expect(rangeOf(accumulate([5, 5, 5]), observer)).toEqual([5, 5]);
      expect(rangeOf(accumulate([0, 0]), observer)).toEqual([0, 0]);
      expect(rangeOf(accumulate([-2.5]), observer)).toEqual([-2.5, -2.5]);
      expect(rangeOf(accumulate([], [1]), observer)).toEqual([1, 1]);
      expect(statisticsOf(accumulate([]), observer)).toBeUndefined();
      expect(statisticsOf(accumulate([NaN, Infinity]), observer)).toBeUndefined();
    },
  );

  const samples = fc.array(
    fc.array(fc.float({ noDefaultInfinity: true }), { minLength: 1, maxLength: 50 }),
    { minLength: 1, maxLength: 5 },
  );

  test.each(observerNames)('%s: the range is inside what was seen', (observer) => {
    fc.assert(
      fc.property(samples, (given) => {
        const found = statisticsOf(accumulate(...given), observer);
        const finite = given.flat().filter(Number.isFinite);
        expect(found === undefined).toBe(finite.length === 0);
        if (found === undefined) return;
        expect([found.seenMin, found.seenMax]).toEqual([Math.min(...finite), Math.max(...finite)]);
        expect(found.min).toBeGreaterThanOrEqual(found.seenMin);
        expect(found.max).toBeLessThanOrEqual(found.seenMax);
        expect(found.min).toBeLessThanOrEqual(found.max);
      }),
      { numRuns: 50 },
    );
  });

  test('percentile 100 is min-max', () => {
    fc.assert(
      fc.property(samples, (given) => {
        const state = accumulate(...given);
        expect(rangeOf(state, 'percentile', { percentile: 100 })).toEqual(
          rangeOf(state, 'min-max'),
        );
      }),
    );
  });
});

const bins = (...points: readonly (readonly [number, number, number])[]): Bins => ({
  low: Float64Array.from(points, ([low]) => low),
  high: Float64Array.from(points, ([, high]) => high),
  count: Float64Array.from(points, ([, , count]) => count),
  total: points.reduce((sum, [, , count]) => sum + count, 0),
  min: points[0]?.[0] ?? 0,
  max: points.at(-1)?.[1] ?? 0,
});

describe('the error of a quantizer', () => {
  test.each([
    // Whole steps of 1 over 0..3: a twelfth of a step each.
    ['evenly spread', bins([0, 3, 12]), { min: 0, max: 3 }, 4, 1],
    ['on the grid', bins([2, 2, 5]), { min: 0, max: 3 }, 4, 0],
    ['a quarter off the grid', bins([1.25, 1.25, 2]), { min: 0, max: 3 }, 4, 2 / 16],
    ['clipped above', bins([5, 5, 3]), { min: 0, max: 3 }, 4, 3 * 4],
    ['clipped below', bins([-5, -5, 1]), { min: -1, max: 2 }, 4, 16],
    // Mean of (x - 3)^2 over 5..8 is (8 + 125)... = (2^2 + 2*5 + 5^2) / 3.
    ['clipped and spread', bins([5, 8, 1]), { min: 0, max: 3 }, 4, 13],
    ['nothing but zero left', bins([2, 2, 2]), { min: 0, max: 0 }, 4, 8],
  ])('%s', (_, given, range, levels, error) => {
    expect(quantizationError(given, range, levels)).toBeCloseTo(error, 9);
  });

  test('mseRange never does worse than the whole range', () => {
    const counts = fc.array(fc.nat(1000), { minLength: 2, maxLength: 40 });
    fc.assert(
      fc.property(counts, fc.integer({ min: -20, max: 20 }), (given, shift) => {
        const all = bins(...given.map((n, i) => [shift + i, shift + i + 1, n + 1] as const));
        const found = mseRange(all, 16);
        const least = quantizationError(all, found, 16);
        expect(least).toBeLessThanOrEqual(quantizationError(all, all, 16) + 1e-9);
        expect(found.min).toBeGreaterThanOrEqual(all.min);
        expect(found.max).toBeLessThanOrEqual(all.max);
      }),
    );
  });

  test('percentileRange of one bin cuts within it', () => {
    expect(percentileRange(bins([0, 10, 4]), 50)).toEqual({ min: 2.5, max: 7.5 });
  });
});
