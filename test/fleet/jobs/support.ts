import type { DeployJob, JobPhase, JobRecord } from '../../../agent/contracts/job.ts';
import { Journal } from '../../../agent/fleet/jobs/journal.ts';
import { JobRunner, type PhaseHandler } from '../../../agent/fleet/jobs/runner.ts';

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
    moment: () => ({ ts: '2026-06-01T00:00:00.000Z', mono: 1, bootId: 'b1' }),
  });
  const chain = (jobId: string) =>
    records
      .filter((record) => record.jobId === jobId && record.progress === null)
      .map(({ status, phase }) => `${status} ${phase}`);
  return { runner, journal, records, chain };
}
