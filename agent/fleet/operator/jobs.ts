import { jobRecordSchema, type JobRecord, type JobDocument } from '../../contracts/job.ts';
import { isFinished } from '../protocol/finished.ts';
import { signDocument, type Signer } from '../protocol/signed.ts';
import { topicFor } from '../protocol/topics.ts';
import type { OperatorChannel } from './channel.ts';
import { nextJobCounter, readTwin } from './device.ts';
import { OperatorError } from './error.ts';
import { newId } from './rollouts.ts';
import { readPayload, waitFor } from './wait.ts';

/** What is asked of one device; the rest of the document is filled in. */
export type SingleJob =
  | { readonly jobType: 'bench' | 'rollback' | 'fit'; readonly model?: string }
  | { readonly jobType: 'collect'; readonly lines?: number }
  | { readonly jobType: 'selfcheck' };

export interface IssueOptions {
  readonly signers: readonly Signer[];
  /** How long the device may take to hear of it. */
  readonly validSeconds?: number;
  /** How long to wait for what the broker keeps of the device. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly now?: Date;
  /** The device has said that it takes no lower one. */
  readonly minCounter?: number;
}

export interface IssuedJob {
  readonly deviceId: string;
  readonly jobId: string;
  readonly jobType: JobDocument['jobType'];
  readonly counter: number;
}

const DEFAULT_VALID_SECONDS = 3600;

/**
 * Signs a job for one device and hands it to the broker, which keeps it until the device comes. Throws
 * OperatorError when the broker keeps no twin of the device, or the device runs no model to bench.
 */
export async function issueJob(
  channel: OperatorChannel,
  deviceId: string,
  job: SingleJob,
  options: IssueOptions,
): Promise<IssuedJob> {
  const { signers, timeoutMs, signal, now = new Date() } = options;
  const twin = await readTwin(channel, deviceId, { timeoutMs, signal });
  const model = needsModel(job) ? (job.model ?? twin.activeModel?.name ?? null) : undefined;
  if (model === null) {
    throw new OperatorError('NOTHING_RUNS', `${deviceId} runs no model: deploy one first`);
  }
  const validMs = (options.validSeconds ?? DEFAULT_VALID_SECONDS) * 1000;
  const jobId = newId(job.jobType, now);
  const counter = Math.max(nextJobCounter(twin), options.minCounter ?? 0);
  const signed = {
    type: 'job' as const,
    deviceId,
    counter,
    expires: new Date(now.getTime() + validMs).toISOString(),
    jobId,
    jobType: job.jobType,
    ...(model === undefined ? {} : { model: { name: model } }),
    ...(job.jobType === 'collect' && job.lines !== undefined ? { lines: job.lines } : {}),
  };
  await channel.publish({
    topic: topicFor('job', { device: deviceId, job: jobId }),
    payload: JSON.stringify(signDocument(signed, signers)),
    retain: true,
    schema: 'edgefit/signed/1',
    expirySeconds: Math.ceil(validMs / 1000),
  });
  return { deviceId, jobId, jobType: job.jobType, counter };
}

type ModelJob = Extract<SingleJob, { readonly model?: string }>;

function needsModel(job: SingleJob): job is ModelJob {
  return job.jobType !== 'collect' && job.jobType !== 'selfcheck';
}

export interface FollowJob {
  readonly onRecord?: (record: JobRecord) => void;
  /** Longest wait for the end; without it as long as it takes. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Follows a job until it has ended and returns its last record; null when the time is over before. The
 * document is then taken away, which archives the job on the device.
 */
export async function followJob(
  channel: OperatorChannel,
  { deviceId, jobId }: Pick<IssuedJob, 'deviceId' | 'jobId'>,
  { onRecord, timeoutMs, signal }: FollowJob = {},
): Promise<JobRecord | null> {
  let seq = 0;
  const record = await waitFor(channel, {
    filters: [topicFor('execution', { device: deviceId, job: jobId })],
    timeoutMs,
    signal,
    pick: (arrival) => {
      const found = readPayload(jobRecordSchema, arrival);
      if (found === null || found.seq <= seq) return undefined;
      seq = found.seq;
      onRecord?.(found);
      return isFinished(found.status) ? found : undefined;
    },
  });
  if (record !== null) await takeBack(channel, { deviceId, jobId });
  return record;
}

/**
 * Issues a job and follows it to its end; null when the time is over before, and the job is taken back.
 * A device that takes it for a replay says which counter it would take: somebody else has signed jobs
 * for it meanwhile, and it is issued once more.
 */
export async function runJob(
  channel: OperatorChannel,
  deviceId: string,
  job: SingleJob,
  options: IssueOptions & { readonly follow?: FollowJob },
): Promise<JobRecord | null> {
  const { follow = {}, ...issue } = options;
  const issued = await issueJob(channel, deviceId, job, issue);
  const record = await followJob(channel, issued, follow);
  if (record === null) await takeBack(channel, issued);
  const lowest = record === null ? null : lowestCounter(record);
  if (lowest === null || options.minCounter !== undefined) return record;
  return runJob(channel, deviceId, job, { ...options, minCounter: lowest });
}

/** The counter that a device would take that has refused a job as a replay. */
function lowestCounter({ reason, result }: JobRecord): number | null {
  const lowest = result?.['lowestCounter'];
  if (reason?.code !== 'replayed' || !Number.isSafeInteger(lowest)) return null;
  return Number(lowest);
}

/** Takes a document away: an open job is taken back, a finished one archived. */
export async function takeBack(
  channel: OperatorChannel,
  { deviceId, jobId }: Pick<IssuedJob, 'deviceId' | 'jobId'>,
): Promise<void> {
  const topic = topicFor('job', { device: deviceId, job: jobId });
  await channel.publish({ topic, payload: '', retain: true, schema: 'edgefit/signed/1' });
}
