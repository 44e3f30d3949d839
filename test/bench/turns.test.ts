import { describe, expect, test } from '@jest/globals';
import type { Sample, Sampled } from '../../agent/bench/sampling.ts';
import { onlyInferring, turnFigures, type Work } from '../../agent/bench/turns.ts';

/** A look at a GPU that draws what is given. */
function look(atMs: number, milliwatts: number | null, gpuHz: number | null = null): Sample {
  return {
    atMs,
    celsius: 50,
    zone: 'gpu-thermal',
    frequencyHz: null,
    limitHz: null,
    gpuHz,
    gpuLoadShare: null,
    throttling: null,
    tripped: [],
    cooling: [],
    power: milliwatts === null ? null : { atMs, milliwatts },
  };
}

/** A program that starts for two seconds, infers for one, and ends. */
const sampled = (window?: Work['window']): Sampled<Work> => ({
  result: {
    latenciesMs: Float64Array.from({ length: 100 }, () => 10),
    ownMs: 0,
    ...(window === undefined ? {} : { window }),
  },
  startMs: 0,
  before: look(0, null),
  during: [look(500, 3000, 1e8), look(1500, 3000, 1e8), look(2500, 12_000, 1e9)],
  after: look(3100, null),
});

const figures = (turn: Sampled<Work>) =>
  turnFigures([{ sampled: onlyInferring(turn), reasons: [] }], look(0, null), {
    source: 'test',
    idleMilliwatts: null,
  });

describe('a turn whose inferences', () => {
  test('come late: what was drawn while it started is not theirs', () => {
    const late = figures(sampled({ startMs: 2000, endMs: 3000 }));
    // 12 W for a second, over 100 inferences.
    expect(late.energyPerInferenceMillijoules).toBeCloseTo(120, 9);
    expect(late.power).toMatchObject({ meanMilliwatts: 12_000, readings: 1 });
    expect(late.clocks).toMatchObject({ gpuMeanHz: 1e9 });
  });

  test('overlap: time counts, not the sum of their latencies', () => {
    const overlapping = figures(sampled({ startMs: 2250, endMs: 2750 }));
    expect(overlapping.energyPerInferenceMillijoules).toBeCloseTo(60, 9);
  });

  test('come at once: from its start, for as long as they took', () => {
    const early = figures(sampled());
    expect(early.power).toMatchObject({ meanMilliwatts: 3000, readings: 1 });
    expect(early.energyPerInferenceMillijoules).toBeCloseTo(30, 9);
  });
});
