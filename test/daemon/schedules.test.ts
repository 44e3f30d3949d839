import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { startSchedules } from '../../agent/daemon/schedules.ts';
import { until } from './support.ts';

afterEach(() => {
  jest.useRealTimers();
});

/** Stops the wall clock; tests move it, and timers go on. */
function holdClock(at: string): void {
  jest.useFakeTimers({
    now: new Date(at),
    doNotFake: [
      'hrtime',
      'nextTick',
      'performance',
      'queueMicrotask',
      'setImmediate',
      'clearImmediate',
      'setInterval',
      'clearInterval',
      'setTimeout',
      'clearTimeout',
    ],
  });
}

const setClock = (at: string) => jest.setSystemTime(new Date(at));

async function nightly(cron = '0 3 * * *') {
  const runs: string[] = [];
  const warnings: object[] = [];
  const run = async () => void runs.push(new Date().toISOString());
  const stop = await startSchedules([{ name: 'bench', cron, run }], {
    warn: (fields) => void warnings.push(fields),
    lookMs: 5,
  });
  return { runs, warnings, stop };
}

describe('schedules', () => {
  test('run every second by the real clock, and stop', async () => {
    const times: number[] = [];
    const run = async () => void times.push(Date.now());
    const stop = await startSchedules([{ name: 's', cron: '* * * * * *', run }], {
      warn: () => undefined,
    });
    const waited = performance.now();
    while (times.length < 2 && performance.now() - waited < 5000) {
      // oxlint-disable-next-line no-await-in-loop -- polling
      await sleep(20);
    }
    await stop();
    const counted = times.length;
    await sleep(1100);
    expect([counted, times.length]).toEqual([2, 2]);
    // At the beginning of seconds.
    expect(times.every((ms) => ms % 1000 < 500)).toBe(true);
  });

  test('come once when their time comes', async () => {
    holdClock('2026-05-01T02:59:00');
    const { runs, stop } = await nightly();
    await sleep(30);
    expect(runs).toEqual([]);
    setClock('2026-05-01T03:00:01');
    await sleep(60);
    expect(runs).toHaveLength(1);
    await stop();
  });

  test('do not come for what a jump of the clock has left out, and come the next time', async () => {
    // A board without a clock of its own wakes up long ago.
    holdClock('1970-01-01T00:10:00');
    const { runs, stop } = await nightly('*/10 * * * * *');
    await sleep(30);
    const began = performance.now();
    setClock('2026-05-01T12:00:05');
    await sleep(40);
    expect(runs).toEqual([]);
    setClock('2026-05-01T12:00:10');
    await sleep(40);
    expect(runs).toHaveLength(1);
    // It would take minutes to walk through every 10 s of 56 years.
    expect(performance.now() - began).toBeLessThan(2000);
    await stop();
  });

  test('do not wait for a time that came again after the clock was set back', async () => {
    holdClock('2026-05-02T12:00:00');
    const { runs, stop } = await nightly();
    await sleep(30);
    setClock('2026-05-01T02:59:59');
    await sleep(30);
    setClock('2026-05-01T03:00:00');
    await sleep(40);
    expect(runs).toHaveLength(1);
    await stop();
  });

  test('go on after a run that fails, and never beside themselves', async () => {
    const seen = { running: 0, most: 0, runs: 0 };
    const warnings: object[] = [];
    const run = async () => {
      seen.runs += 1;
      seen.running += 1;
      seen.most = Math.max(seen.most, seen.running);
      await sleep(1300);
      seen.running -= 1;
      throw new Error('no room');
    };
    const stop = await startSchedules([{ name: 'bench', cron: '* * * * * *', run }], {
      warn: (fields) => void warnings.push(fields),
    });
    await until('two runs', () => warnings.length >= 2);
    await stop();
    expect(seen.most).toBe(1);
    expect(warnings[0]).toEqual({ schedule: 'bench', why: 'no room' });
  });

  test('that are off never run, and need nothing', async () => {
    const { runs, stop } = await nightly('off');
    await stop();
    expect(runs).toEqual([]);
  });
});
