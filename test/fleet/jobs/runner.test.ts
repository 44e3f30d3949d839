import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { JobDocument } from '../../../agent/contracts/job.ts';
import { Journal } from '../../../agent/fleet/jobs/journal.ts';
import { PhaseError, type PhaseHandler } from '../../../agent/fleet/jobs/phase-work.ts';
import { bench, deployJob } from './support.ts';

const DIGEST = 'a'.repeat(64);
const OTHER = 'b'.repeat(64);
const CHAIN = [
  'accepted',
  'waiting',
  'downloading',
  'verifying',
  'fitting',
  'staged',
  'activating',
  'probing',
  'committing',
];

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgefit-jobs-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

const fails =
  (code: string): PhaseHandler =>
  async () => {
    throw new PhaseError(code, 'as the test wants');
  };

/** Ends when it is told to, as a good handler does. */
const waits: PhaseHandler = ({ signal }) =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => {
      reject(signal.reason);
    });
  });

test('a deployment passes through every phase, each on the disk before it is acted upon', async () => {
  const onDisk: string[] = [];
  const look: PhaseHandler = async () => {
    const entry = JSON.parse(await readFile(join(folder, 'j1.json'), 'utf8')) as { phase: string };
    onDisk.push(entry.phase);
    return { data: { seen: onDisk.length }, result: { steps: onDisk.length } };
  };
  const all = Object.fromEntries(CHAIN.map((phase) => [phase, look]));
  const { runner, chain, records } = await bench(folder, all);
  await runner.submit(deployJob('j1'), DIGEST);
  await runner.idle();
  expect(onDisk).toEqual(CHAIN);
  expect(chain('j1')).toEqual([
    'QUEUED accepted',
    ...CHAIN.map((phase) => `IN_PROGRESS ${phase}`),
    'SUCCEEDED committing',
  ]);
  const last = records.at(-1);
  expect(last).toMatchObject({ outcome: 'applied', reason: null, result: { steps: 9 } });
  expect(Object.keys(last?.phases ?? {})).toEqual(CHAIN);
  const seqs = records.map(({ seq }) => seq);
  expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
  expect(new Set(seqs).size).toBe(seqs.length);
});

describe('a failure', () => {
  test.each(['accepted', 'waiting', 'downloading', 'verifying', 'fitting', 'staged'])(
    'in %s ends the job, and nothing has changed',
    async (phase) => {
      const { runner, records } = await bench(folder, { [phase]: fails('broken') });
      await runner.submit(deployJob('j1'), DIGEST);
      await runner.idle();
      expect(records.at(-1)).toMatchObject({
        status: 'FAILED',
        phase,
        outcome: 'no_state_change',
        reason: { code: 'broken' },
      });
    },
  );

  test.each(['activating', 'probing', 'committing'])('in %s takes the way back', async (phase) => {
    const backs: unknown[] = [];
    const { runner, records } = await bench(folder, {
      [phase]: fails('broken'),
      rolling_back: async ({ failure }) => {
        backs.push(failure);
        return {};
      },
    });
    await runner.submit(deployJob('j1'), DIGEST);
    await runner.idle();
    expect(backs).toEqual([{ code: 'broken', text: 'as the test wants' }]);
    expect(records.at(-1)).toMatchObject({
      status: 'FAILED',
      phase: 'rolling_back',
      outcome: 'rolled_back',
      reason: { code: 'broken' },
    });
  });

  test('on the way back is said as such', async () => {
    const handlers = { probing: fails('broken'), rolling_back: fails('stuck') };
    const { runner, records } = await bench(folder, handlers);
    await runner.submit(deployJob('j1'), DIGEST);
    await runner.idle();
    expect(records.at(-1)).toMatchObject({
      status: 'FAILED',
      outcome: 'rollback_failed',
      reason: { code: 'stuck' },
    });
  });
});

test.each([
  ['a handler that listens', waits],
  ['one that hangs', () => new Promise<never>(() => undefined)],
])('the device ends a phase that takes too long: %s', async (_, handler: PhaseHandler) => {
  const { runner, records } = await bench(folder, { downloading: handler });
  const limits = { phaseSeconds: { downloading: 0.05 } };
  await runner.submit(deployJob('j1', { limits }), DIGEST);
  await runner.idle();
  expect(records.at(-1)).toMatchObject({
    status: 'TIMED_OUT',
    phase: 'downloading',
    outcome: 'no_state_change',
    reason: { code: 'phase_timeout' },
  });
});

test.each(CHAIN)('a job that was in %s when the agent stopped goes on there', async (phase) => {
  const first = await bench(folder, { [phase]: waits });
  await first.runner.submit(deployJob('j1'), DIGEST);
  await until(() => first.chain('j1').includes(`IN_PROGRESS ${phase}`));
  await first.runner.stop();
  expect(first.chain('j1').at(-1)).toBe(`IN_PROGRESS ${phase}`);

  const second = await bench(folder, {});
  second.runner.start();
  await second.runner.idle();
  expect(second.chain('j1')[0]).toBe(`IN_PROGRESS ${phase}`);
  expect(second.records.at(-1)).toMatchObject({ status: 'SUCCEEDED', outcome: 'applied' });
  expect(second.records[0]?.attempt).toBe(2);
  expect(second.records[0]?.seq).toBeGreaterThan(first.records.at(-1)?.seq ?? 0);
});

test('after a crash records come above the progress that was told and not written', async () => {
  const slow: PhaseHandler = (input) => {
    let done = 0;
    const timer = setInterval(() => input.onProgress((done += 1), 1000), 50);
    input.signal.addEventListener('abort', () => clearInterval(timer));
    return waits(input);
  };
  const first = await bench(folder, { downloading: slow });
  await first.runner.submit(deployJob('j1'), DIGEST);
  await until(() => first.records.filter(({ progress }) => progress !== null).length === 2);
  const told = first.records.at(-1)?.seq ?? 0;
  // Killed: nothing of it is written any more.
  const second = await bench(folder, {});
  second.runner.start();
  await second.runner.idle();
  const seqs = second.records.map(({ seq }) => seq);
  expect(Math.min(...seqs)).toBeGreaterThan(told);
  expect(second.records.at(-1)).toMatchObject({ status: 'SUCCEEDED' });
  await first.runner.stop();
});

test('three starts of the agent while probing, then the way back', async () => {
  for (let start = 0; start < 3; start += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one start after the other
    const { runner, records } = await bench(folder, { probing: waits });
    // oxlint-disable-next-line no-await-in-loop -- see above
    await runner.submit(deployJob('j1'), DIGEST);
    runner.start();
    // oxlint-disable-next-line no-await-in-loop -- see above
    await until(() =>
      records.some(({ phase, attempt }) => phase === 'probing' && attempt === start + 1),
    );
    // oxlint-disable-next-line no-await-in-loop -- see above
    await runner.stop();
  }
  const last = await bench(folder, { probing: waits });
  last.runner.start();
  await last.runner.idle();
  expect(last.records.at(-1)).toMatchObject({
    outcome: 'rolled_back',
    reason: { code: 'attempts_exhausted' },
  });
});

test('a document that comes again is answered with the last record; its id is not used again', async () => {
  const { runner, records } = await bench(folder, {});
  await runner.submit(deployJob('j1'), DIGEST);
  await runner.idle();
  const count = records.length;
  expect(await runner.submit(deployJob('j1'), DIGEST)).toMatchObject({ status: 'SUCCEEDED' });
  expect(records).toHaveLength(count + 1);
  expect(await runner.submit(deployJob('j1'), OTHER)).toMatchObject({
    status: 'REJECTED',
    reason: { code: 'id_reuse' },
  });
  expect(runner.records()).toHaveLength(1);
  expect(runner.records()[0]).toMatchObject({ status: 'SUCCEEDED', digest: DIGEST });
});

test('a job may be taken back until it changes the device', async () => {
  const { runner, records, chain } = await bench(folder, { downloading: waits, probing: waits });
  await runner.submit(deployJob('j1'), DIGEST);
  await until(() => chain('j1').includes('IN_PROGRESS downloading'));
  expect(await runner.cancel('j1')).toBe(true);
  await runner.idle();
  expect(records.at(-1)).toMatchObject({ status: 'CANCELED', outcome: 'no_state_change' });
  expect(await runner.cancel('j1')).toBe(false);

  const late = await bench(join(folder, 'late'), { probing: waits });
  await late.runner.submit(deployJob('j2'), DIGEST);
  await until(() => late.chain('j2').includes('IN_PROGRESS probing'));
  expect(await late.runner.cancel('j2')).toBe(false);
  await late.runner.stop();
});

test('a newer release takes the place of one that waits; another model does not', async () => {
  const { runner, chain } = await bench(folder, { waiting: waits });
  await runner.submit(deployJob('old'), DIGEST);
  const other = { name: 'vad', version: '1.0.0', releaseCounter: 9 };
  await runner.submit(deployJob('other', { model: other }), DIGEST);
  await until(() => chain('other').includes('IN_PROGRESS waiting'));
  const model = { name: 'kws', version: '1.1.0', releaseCounter: 2 };
  await runner.submit(deployJob('new', { model }), OTHER);
  await until(() => chain('old').includes('CANCELED waiting'));
  expect(chain('other').at(-1)).toBe('IN_PROGRESS waiting');
  await runner.stop();
});

const DIAGNOSIS: JobDocument = {
  type: 'job',
  jobType: 'collect',
  jobId: 'why',
  deviceId: 'pi-7',
  counter: 2,
  expires: '2027-01-01T00:00:00Z',
};

test('jobs wait side by side and work one at a time', async () => {
  const working: string[] = [];
  let most = 0;
  const work: PhaseHandler = async ({ document }) => {
    working.push(document.jobId);
    most = Math.max(most, working.length);
    await new Promise((resolve) => setImmediate(resolve));
    working.splice(working.indexOf(document.jobId), 1);
    return {};
  };
  const waiting: PhaseHandler = (input) =>
    input.document.jobId === 'night' ? waits(input) : Promise.resolve({});
  const { runner, chain } = await bench(folder, { waiting, downloading: work, fitting: work });
  await runner.submit(
    deployJob('night', { model: { name: 'a', version: '1', releaseCounter: 1 } }),
    DIGEST,
  );
  for (const name of ['b', 'c', 'd']) {
    const model = { name, version: '1', releaseCounter: 1 };
    // oxlint-disable-next-line no-await-in-loop -- in this order
    await runner.submit(deployJob(name, { model }), DIGEST);
  }
  await until(() => ['b', 'c', 'd'].every((id) => chain(id).includes('SUCCEEDED committing')));
  expect(most).toBe(1);
  expect(chain('night').at(-1)).toBe('IN_PROGRESS waiting');
  await runner.stop();
});

test('a diagnosis does not wait for the job that is at work', async () => {
  const { runner, chain } = await bench(folder, { fitting: waits });
  await runner.submit(deployJob('hangs'), DIGEST);
  await until(() => chain('hangs').includes('IN_PROGRESS fitting'));
  await runner.submit(DIAGNOSIS, OTHER);
  await until(() => chain('why').includes('SUCCEEDED committing'));
  expect(chain('hangs').at(-1)).toBe('IN_PROGRESS fitting');
  await runner.stop();
});

test('a journal file that is no entry is set aside, and the others go on', async () => {
  const { runner } = await bench(folder, {});
  await runner.submit(deployJob('j1'), DIGEST);
  await runner.idle();
  await writeFile(join(folder, 'j2.json'), '{"half":');
  await writeFile(join(folder, '.j3.json.0123.part'), '{');
  const corrupt: string[] = [];
  const journal = await Journal.open(folder, (file) => corrupt.push(file));
  expect(corrupt).toEqual([join(folder, 'j2.json')]);
  expect(journal.all()).toHaveLength(1);
  expect(await readdir(folder)).toEqual(['j1.json', 'j2.json.corrupt']);
});

async function until(isSo: () => boolean): Promise<void> {
  const end = Date.now() + 4000;
  while (!isSo()) {
    if (Date.now() > end) throw new Error('it never came');
    // oxlint-disable-next-line no-await-in-loop -- polling with a deadline
    await new Promise((resolve) => setImmediate(resolve));
  }
}
