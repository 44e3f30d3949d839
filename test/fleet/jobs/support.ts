import { join } from 'node:path';
import type { DeployJob, JobPhase, JobRecord } from '../../../agent/contracts/job.ts';
import { noJobs } from '../../../agent/fleet/device/jobs-port.ts';
import { Counters } from '../../../agent/fleet/jobs/counters.ts';
import { DocumentTrust } from '../../../agent/fleet/jobs/document-trust.ts';
import { Journal } from '../../../agent/fleet/jobs/journal.ts';
import { TrustedMetadata } from '../../../agent/fleet/jobs/metadata.ts';
import { openPort } from '../../../agent/fleet/jobs/port.ts';
import type { PhaseHandler } from '../../../agent/fleet/jobs/phase-work.ts';
import { JobRunner } from '../../../agent/fleet/jobs/runner.ts';
import type { OutgoingMessage } from '../../../agent/fleet/protocol/outgoing.ts';
import { temporaryFolder } from '../../daemon/support.ts';
import { afterThisTest } from '../support/harness.ts';
import { Site } from '../support/site.ts';

const MOMENT = { ts: '2026-06-01T00:00:00.000Z', mono: 1, bootId: 'b1' };
const nowMs = async () => Date.now();

export function deployJob(jobId: string, changed: Partial<DeployJob> = {}): DeployJob {
  return {
    type: 'job',
    jobType: 'deploy',
    jobId,
    deviceId: 'pi-7',
    counter: 1,
    expires: '2027-01-01T00:00:00Z',
    model: { name: 'kws', version: '1.0.0', releaseCounter: 1 },
    ...changed,
  };
}

/** Handlers that do nothing, but for those given. */
export function handlersWith(
  given: Partial<Record<JobPhase, PhaseHandler>>,
): Record<JobPhase, PhaseHandler> {
  const nothing: PhaseHandler = async () => ({});
  return {
    accepted: nothing,
    waiting: nothing,
    downloading: nothing,
    verifying: nothing,
    fitting: nothing,
    staged: nothing,
    activating: nothing,
    probing: nothing,
    committing: nothing,
    rolling_back: nothing,
    ...given,
  };
}

export interface Bench {
  readonly runner: JobRunner;
  readonly journal: Journal;
  readonly records: JobRecord[];
  /** `status phase` of each record of a job, progress left out. */
  readonly chain: (jobId: string) => readonly string[];
}

export async function bench(
  folder: string,
  handlers: Partial<Record<JobPhase, PhaseHandler>>,
  counters?: Counters,
): Promise<Bench> {
  const journal = await Journal.open(folder, (file, why) => {
    throw new Error(`${file}: ${why}`);
  });
  const records: JobRecord[] = [];
  const runner = new JobRunner({
    deviceId: 'pi-7',
    journal,
    handlers: handlersWith(handlers),
    publish: (record) => records.push(record),
    moment: () => MOMENT,
    ...(counters === undefined
      ? {}
      : { onForget: ({ counter }) => counters.raiseLowestJob(counter + 1) }),
  });
  const chain = (jobId: string) =>
    records
      .filter((record) => record.jobId === jobId && record.progress === null)
      .map(({ status, phase }) => `${status} ${phase}`);
  return { runner, journal, records, chain };
}

/** Where job documents come in, over a new state folder that `prepare` may fill. */
export async function door({
  handlers = {},
  prepare = async () => undefined,
}: {
  readonly handlers?: Partial<Record<JobPhase, PhaseHandler>>;
  readonly prepare?: (state: string, site: Site) => Promise<void>;
} = {}) {
  const site = await Site.open();
  afterThisTest(() => site.close());
  const state = temporaryFolder();
  await site.enrol(state);
  await prepare(state, site);
  const counters = await Counters.open(join(state, 'counters.json'), () => undefined);
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
  const { runner, records } = await bench(join(state, 'jobs'), handlers, counters);
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
  return { site, state, runner, records, refused, port, give };
}
