import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { OutgoingMessage } from '../../../agent/fleet/protocol/outgoing.ts';
import { noJobs } from '../../../agent/fleet/device/jobs-port.ts';
import { Counters } from '../../../agent/fleet/jobs/counters.ts';
import { DocumentTrust } from '../../../agent/fleet/jobs/document-trust.ts';
import { TrustedMetadata } from '../../../agent/fleet/jobs/metadata.ts';
import { openPort } from '../../../agent/fleet/jobs/port.ts';
import { temporaryFolder } from '../../daemon/support.ts';
import { afterThisTest } from '../support/harness.ts';
import { Site } from '../support/site.ts';
import { bench } from './support.ts';

const MOMENT = { ts: '2026-06-01T00:00:00.000Z', mono: 1, bootId: 'b1' };
const nowMs = async () => Date.now();

async function door() {
  const site = await Site.open();
  afterThisTest(() => site.close());
  const state = temporaryFolder();
  await site.enrol(state);
  const counters = await Counters.open(join(state, 'counters.json'));
  const metadata = new TrustedMetadata({
    folder: join(state, 'tuf'),
    nowMs,
    onTrusted: async () => undefined,
  });
  const trust = new DocumentTrust({
    deviceId: 'pi-7',
    metadata,
    repository: site.url,
    counters,
    nowMs,
    warn: () => undefined,
  });
  const { runner, records } = await bench(join(state, 'jobs'), {});
  const refused: OutgoingMessage[] = [];
  const port = openPort({
    deviceId: 'pi-7',
    runner,
    trust,
    counters,
    moment: () => MOMENT,
    types: [],
    publish: (message) => refused.push(message),
    decisions: noJobs.decisions,
  });
  const give = (jobId: string, more: Readonly<Record<string, unknown>>) =>
    port.onJob(jobId, JSON.parse(site.job(jobId, { jobType: 'selfcheck', ...more })));
  return { state, runner, records, refused, port, give };
}

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
  expect((await Counters.open(join(state, 'counters.json'))).epoch()).toBe(6);
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
