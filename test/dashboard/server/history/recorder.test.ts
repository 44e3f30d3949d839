import { afterEach, expect, jest, test } from '@jest/globals';
import { Recorder } from '../../../../agent/dashboard/server/history/recorder.ts';
import type {
  FleetListener,
  FleetView,
  HistoryBatch,
  HistoryStore,
} from '../../../../agent/dashboard/server/ports.ts';

/** A database that is away until it is said to be back. */
function parts() {
  const written: HistoryBatch[] = [];
  const warnings: string[] = [];
  const state = { away: false };
  let listener: Partial<FleetListener> = {};
  const store = {
    write: async (batch: HistoryBatch) => {
      if (state.away) throw new Error('the database is away');
      written.push(batch);
    },
    prune: async () => undefined,
  } as unknown as HistoryStore;
  const fleet = {
    listen: (wanted: Partial<FleetListener>) => {
      listener = wanted;
      return () => undefined;
    },
    refused: () => 0,
  } as unknown as FleetView;
  const recorder = new Recorder({
    store,
    fleet,
    nowMs: () => 0,
    warn: (text) => warnings.push(text),
  });
  recorder.start();
  const sample = (ts: number, name = 'cpuRatio') =>
    listener.sample?.({ deviceId: 'pi-1', stream: 'host', ts, values: { [name]: 1 } });
  const times = () => written.flatMap(({ samples }) => samples.map(({ ts }) => ts));
  return { recorder, sample, times, state, warnings };
}

let stop: () => Promise<void> = async () => undefined;
afterEach(() => stop());

test('what a database did not take is written in order when it is back', async () => {
  const { recorder, sample, times, state, warnings } = parts();
  stop = () => recorder.stop();
  state.away = true;
  for (let ts = 0; ts < 6000; ts += 1) sample(ts);
  await recorder.flush();
  sample(6000);
  await recorder.flush();
  expect(times()).toEqual([]);
  state.away = false;
  await recorder.flush();
  expect(times()).toEqual(Array.from({ length: 6001 }, (_, ts) => ts));
  expect(recorder.dropped).toBe(0);
  expect(warnings).toEqual(['the history could not be written: the database is away']);
});

test('after a minute of tries it is given up, and what comes later is written', async () => {
  const { recorder, sample, times, state } = parts();
  stop = () => recorder.stop();
  state.away = true;
  sample(1);
  // oxlint-disable-next-line no-await-in-loop -- one try after the other
  for (let tries = 0; tries < 60; tries += 1) await recorder.flush();
  expect(recorder.dropped).toBe(1);
  state.away = false;
  sample(2);
  await recorder.flush();
  expect(times()).toEqual([2]);
});

test('the newest of too much stays', async () => {
  const { recorder, sample, times, state } = parts();
  stop = () => recorder.stop();
  state.away = true;
  for (let ts = 0; ts < 15_000; ts += 1) sample(ts);
  await recorder.flush();
  for (let ts = 15_000; ts < 25_000; ts += 1) sample(ts);
  await recorder.flush();
  state.away = false;
  await recorder.flush();
  expect(times()).toHaveLength(20_000);
  expect(times().at(0)).toBe(5000);
  expect(recorder.dropped).toBe(5000);
});

test('a database that does not answer holds up one write, not one a second', async () => {
  jest.useFakeTimers();
  const calls: (() => void)[] = [];
  const store = {
    write: () => new Promise<void>((done) => calls.push(done)),
    prune: async () => undefined,
  } as unknown as HistoryStore;
  const fleet = { listen: () => () => undefined, refused: () => 0 } as unknown as FleetView;
  const recorder = new Recorder({ store, fleet, nowMs: () => 0, warn: () => undefined });
  recorder.start();
  await jest.advanceTimersByTimeAsync(30_000);
  expect(calls).toHaveLength(1);
  jest.useRealTimers();
  calls[0]?.();
  const stopped = recorder.stop();
  stop = () => stopped;
  // The last write, of what waits.
  while (calls.length < 2) await new Promise((done) => setTimeout(done, 5));
  calls[1]?.();
  await stopped;
});
