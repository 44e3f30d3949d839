import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { jobDocumentSchema } from '../../../agent/contracts/job.ts';
import { Counters } from '../../../agent/fleet/jobs/counters.ts';
import { ended, openEntry } from '../../../agent/fleet/jobs/entry.ts';
import { verifyDocument } from '../../../agent/fleet/protocol/signed.ts';
import { deferred } from '../../../agent/util/deferred.ts';
import { until } from '../../daemon/support.ts';
import type { Site } from '../support/site.ts';
import { door } from './support.ts';

const MOMENT = { ts: '2026-06-01T00:00:00.000Z', mono: 1, bootId: null };
const REMEMBERED = 200;
/** All alike: nothing forbids an operator to sign many jobs under one counter. */
const COUNTER = 7;

/** A journal of jobs that have ended, but for the first, and their documents. */
async function fill(
  state: string,
  site: Site,
  count: number,
): Promise<ReadonlyMap<string, string>> {
  const documents = new Map<string, string>();
  await mkdir(join(state, 'jobs'), { recursive: true });
  const keyring = { keys: new Map([[site.operator.keyId, site.operator.public]]), threshold: 1 };
  for (let order = 1; order <= count; order += 1) {
    const jobId = `old-${order}`;
    const text = site.job(jobId, { jobType: 'selfcheck', counter: COUNTER });
    documents.set(jobId, text);
    const options = {
      type: 'job',
      deviceId: 'pi-7',
      keyring,
      nowMs: Date.now(),
      minCounter: 0,
    } as const;
    const { signed, digest } = verifyDocument(Buffer.from(text), options);
    const open = openEntry('pi-7', jobDocumentSchema.parse(signed), digest, order, MOMENT);
    const entry = order === 1 ? open : ended(open, 'SUCCEEDED', 'applied', null, MOMENT);
    // oxlint-disable-next-line no-await-in-loop -- small files
    await writeFile(join(state, 'jobs', `${jobId}.json`), JSON.stringify(entry));
  }
  return documents;
}

test('a job that the journal has forgotten is not done again, one that runs is not forgotten', async () => {
  let documents: ReadonlyMap<string, string> = new Map();
  const waiting = deferred<void>();
  const { state, runner, records, port, give } = await door({
    handlers: {
      accepted: async ({ document }) => {
        if (document.jobId === 'old-1') await waiting.promise;
        return {};
      },
    },
    prepare: async (folder, site) => {
      documents = await fill(folder, site, REMEMBERED + 1);
    },
  });
  runner.start();
  expect(await give('new', { counter: COUNTER })).toBeNull();
  await until('the new one', () => runner.recordOf('new')?.status === 'SUCCEEDED');
  // Of those that have ended the oldest went; the open one is older.
  await until('room', () => !runner.isKnown('old-2'));
  expect(runner.recordOf('old-1')).toMatchObject({ status: 'IN_PROGRESS' });
  const replay = (jobId: string) => port.onJob(jobId, JSON.parse(documents.get(jobId) ?? ''));
  const lowestCounter = COUNTER + 1;
  expect(await replay('old-2')).toMatchObject({ refused: 'REPLAYED', lowestCounter });
  expect(records.filter(({ jobId }) => jobId === 'old-2')).toEqual([]);
  // Those that are known are answered, whatever their counter is.
  expect(await replay('old-3')).toBeNull();
  expect(records.at(-1)).toMatchObject({ jobId: 'old-3', status: 'SUCCEEDED' });
  expect((await Counters.open(join(state, 'counters.json'), () => undefined)).lowestJob()).toBe(
    lowestCounter,
  );
  expect(await give('mine', { counter: lowestCounter })).toBeNull();
  waiting.resolve();
  await runner.idle();
  expect(runner.recordOf('old-1')).toMatchObject({ status: 'SUCCEEDED' });
  expect(await readdir(join(state, 'jobs'))).toHaveLength(REMEMBERED);
});
