import { describe, expect, test } from '@jest/globals';
import {
  offer,
  trim,
  type Random,
  type Reservoir,
} from '../../../agent/calibration/recording/reservoir.ts';

/** The same numbers in every run (mulberry32). */
function seeded(seed: number): Random {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * bound);
  };
}

const EMPTY: Reservoir = { seen: 0, held: [] };
const WIDE = { maxSamples: 5, maxBytes: 1e9 };

function stream(count: number, random: Random, { limits = WIDE, start = EMPTY } = {}): Reservoir {
  let reservoir = start;
  for (let at = 0; at < count; at += 1) {
    ({ reservoir } = offer(reservoir, 10, limits, random));
  }
  return reservoir;
}

/** How often each place of a stream of `length` was held, over many streams. */
function countPlaces(runs: number, length: number, one: (random: Random) => Reservoir): number[] {
  const counts = Array.from({ length }, () => 0);
  const random = seeded(42);
  for (let run = 0; run < runs; run += 1) {
    for (const { index } of one(random).held) counts[index] = (counts[index] ?? 0) + 1;
  }
  return counts;
}

/** Six standard deviations of a binomial count: one in 10^8 goes beyond. */
function expectUniform(counts: readonly number[], runs: number, p: number): void {
  const spread = 6 * Math.sqrt(runs * p * (1 - p));
  for (const count of counts) expect(Math.abs(count - runs * p)).toBeLessThan(spread);
}

describe('a reservoir', () => {
  const RUNS = 5000;

  test('holds every sample of the stream with the same probability', () => {
    const counts = countPlaces(RUNS, 20, (random) => stream(20, random));
    expectUniform(counts, RUNS, 5 / 20);
  });

  test('does so across restarts, when the count is kept', () => {
    const counts = countPlaces(RUNS, 20, (random) => {
      const { seen, held } = stream(9, random);
      return stream(11, random, { start: { seen, held: [...held] } });
    });
    expectUniform(counts, RUNS, 5 / 20);
  });

  test('would favour what comes later, were the count lost', () => {
    const counts = countPlaces(RUNS, 20, (random) => {
      const { held } = stream(15, random);
      return stream(5, random, { start: { seen: 5, held } });
    });
    // That this test can fail at all: the last sample is held more often than one in four.
    expect(counts.at(9)).toBeGreaterThan(RUNS / 4);
  });

  test('is uniform where bytes are the limit', () => {
    const limits = { maxSamples: 100, maxBytes: 45 };
    const counts = countPlaces(RUNS, 20, (random) => stream(20, random, { limits }));
    // Four samples of 10 bytes fit into 45.
    expectUniform(counts, RUNS, 4 / 20);
  });

  test('holds all while there is room, and no more than the limits', () => {
    const random = seeded(1);
    expect(stream(4, random).held.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    const limits = { maxSamples: 7, maxBytes: 100 };
    const bytes = (at: number) => 1 + ((at * 37) % 60);
    let reservoir = EMPTY;
    for (let at = 0; at < 500; at += 1) {
      ({ reservoir } = offer(reservoir, bytes(at), limits, random));
      expect(reservoir.held.length).toBeLessThanOrEqual(7);
      expect(reservoir.held.reduce((sum, one) => sum + one.bytes, 0)).toBeLessThanOrEqual(100);
    }
    expect(reservoir.seen).toBe(500);
    expect(reservoir.held.length).toBeGreaterThan(0);
  });

  test('says what it let go, and only that', () => {
    const random = seeded(7);
    let { reservoir } = { reservoir: EMPTY };
    const disk = new Set<number>();
    for (let at = 0; at < 300; at += 1) {
      const offered = offer(reservoir, 10 + (at % 3), { maxSamples: 6, maxBytes: 60 }, random);
      if (offered.kept) disk.add(at);
      for (const { index } of offered.evicted) expect(disk.delete(index)).toBe(true);
      ({ reservoir } = offered);
      expect([...disk]).toEqual(reservoir.held.map(({ index }) => index).toSorted((a, b) => a - b));
    }
  });

  test('is brought within narrower limits by a uniform choice', () => {
    const held = Array.from({ length: 10 }, (_, index) => ({ index, bytes: 10 }));
    const limits = { maxSamples: 4, maxBytes: 1000 };
    const counts = countPlaces(RUNS, 10, (random) => ({
      seen: 10,
      held: trim(held, limits, random),
    }));
    expectUniform(counts, RUNS, 4 / 10);
  });
});
