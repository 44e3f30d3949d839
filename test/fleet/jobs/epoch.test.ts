import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { Counters } from '../../../agent/fleet/jobs/counters.ts';
import { door } from './support.ts';

test('a job of a controller that does not lead any more is refused', async () => {
  const { state, runner, records, refused, give } = await door();
  expect(await give('first', { epoch: 5 })).toBeNull();
  expect(await give('stale', { epoch: 4 })).toMatchObject({ refused: 'STALE_EPOCH' });
  // The one that leads may have given the same job: nothing is said of this one.
  expect(refused).toEqual([]);
  expect(records.map(({ jobId }) => jobId)).not.toContain('stale');
  expect(await give('same', { epoch: 5 })).toBeNull();
  expect(await give('by-hand', {})).toBeNull();
  expect(await give('next', { epoch: 6 })).toBeNull();
  await runner.idle();
  // It holds over a restart.
  expect((await Counters.open(join(state, 'counters.json'), () => undefined)).epoch()).toBe(6);
});

test('a replay says which counter would do, and the same job is taken with it', async () => {
  const { runner, records, refused, give } = await door();
  expect(await give('other', { counter: 1_790_000_000_000 })).toBeNull();
  // 64 counters are open for jobs that come late.
  const lowestCounter = 1_790_000_000_000 - 63;
  expect(await give('mine', { counter: 2 })).toMatchObject({ refused: 'REPLAYED', lowestCounter });
  expect(refused.map(({ payload }) => JSON.parse(payload))).toMatchObject([
    { jobId: 'mine', status: 'REJECTED', reason: { code: 'replayed' }, result: { lowestCounter } },
  ]);
  expect(await give('mine', { counter: lowestCounter })).toBeNull();
  await runner.idle();
  expect(records.findLast(({ jobId }) => jobId === 'mine')).toMatchObject({ status: 'SUCCEEDED' });
});

test('the record of a job that was refused goes with its document', async () => {
  const { refused, port, give } = await door();
  expect(await give('other', { deviceId: 'pi-8' })).toMatchObject({ refused: 'FOREIGN_DEVICE' });
  await port.onCleared('other');
  const topic = 'edgefit/v1/d/pi-7/up/job/other';
  expect(refused).toMatchObject([
    { topic, payload: expect.stringContaining('REJECTED') },
    { topic, payload: '', retain: true },
  ]);
});
