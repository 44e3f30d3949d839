import { describe, expect, test, jest } from '@jest/globals';
import { measureRound } from '../../agent/bench/latency.ts';
import { isStable, warmUp } from '../../agent/bench/warmup.ts';
import type { Session } from '../../agent/runtime/types.ts';

// The clock is the machine's, and others may use it: a round that was disturbed is taken again.
jest.retryTimes(3);

/** A session whose inferences keep the CPU busy for as long as `duration` says, in milliseconds. */
function busySession(duration: (index: number) => number): Session {
  let index = 0;
  const run = async () => {
    const end = performance.now() + duration(index++);
    while (performance.now() < end);
    return {};
  };
  return {
    describe: () => ({ inputs: [], outputs: [] }),
    run,
    prepare: () => run,
    close: async () => undefined,
  };
}

describe('a round', () => {
  test('goes on until it has both enough inferences and enough time', async () => {
    const session = busySession(() => 1);
    const few = await measureRound(session, {}, { minCount: 20, minTimeMs: 0, maxTimeMs: 1000 });
    expect(few.latenciesMs).toHaveLength(20);
    const long = await measureRound(session, {}, { minCount: 1, minTimeMs: 30, maxTimeMs: 1000 });
    expect(long.latenciesMs.length).toBeGreaterThan(5);
    expect(Math.min(...long.latenciesMs)).toBeGreaterThanOrEqual(1);
  });

  test('ends in time, after one inference at least', async () => {
    const session = busySession(() => 20);
    const round = await measureRound(session, {}, { minCount: 50, minTimeMs: 0, maxTimeMs: 10 });
    expect(round.latenciesMs).toHaveLength(1);
  });

  test('also takes a session that prepares nothing', async () => {
    const busy = busySession(() => 1);
    const session: Session = {
      describe: () => busy.describe(),
      run: async (feeds) => busy.run(feeds),
      close: async () => busy.close(),
    };
    const round = await measureRound(session, {}, { minCount: 3, minTimeMs: 0, maxTimeMs: 1000 });
    expect(round.latenciesMs).toHaveLength(3);
  });
});

describe('warming up', () => {
  test.each([
    [[1, 1, 1], false],
    [[1, 1, 1, 1], true],
    [[9, 1, 1, 1.04, 1.04], true],
    [[9, 1, 1, 1.06, 1.06], false],
    [[2, 2, 1, 1], false],
  ])('%j with a window of 2 is stable: %p', (latencies, expected) => {
    expect(isStable(latencies, { window: 2, tolerance: 0.05 })).toBe(expected);
  });

  test('ends when inferences stop getting faster', async () => {
    const session = busySession((index) => Math.max(4, 16 - 2 * index));
    const limits = { window: 3, tolerance: 0.1, maxCount: 100, maxTimeMs: 5000 };
    const warmup = await warmUp(session, {}, limits);
    expect(warmup.stable).toBe(true);
    expect(warmup.count).toBeGreaterThanOrEqual(10);
    expect(warmup.count).toBeLessThan(30);
  });

  test.each([
    ['count', { maxCount: 7, maxTimeMs: 5000 }],
    ['time', { maxCount: 1000, maxTimeMs: 40 }],
  ])('gives up after the largest %s', async (_, limit) => {
    const session = busySession((index) => 1 + index);
    const warmup = await warmUp(session, {}, { window: 3, tolerance: 0, ...limit });
    expect(warmup).toMatchObject({ stable: false });
    expect(warmup.count).toBeLessThanOrEqual(limit.maxCount);
    expect(warmup.ms).toBeLessThan(1000);
  });
});
