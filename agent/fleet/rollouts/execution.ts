import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { JobStatus } from '../../contracts/job.ts';
import { isFinished } from '../protocol/finished.ts';
import type { SeenRecord } from '../roster/read.ts';
import type { DeviceRow } from '../roster/row.ts';

export const executionStates = [
  'pending',
  'open',
  'succeeded',
  'failed',
  'rejected',
  'canceled',
] as const;

const valuesSchema = z.object({
  p90Ms: z.number().nullable(),
  accuracy: z.object({ metric: z.string(), value: z.number() }).nullable(),
  celsius: z.number().nullable(),
});

/** A job that a device was given: when, until when an answer is waited for, and how far it is. */
const handedOutSchema = z.object({
  jobId: z.string(),
  state: z.enum(executionStates),
  issuedMs: z.number().nullable(),
  deadlineMs: z.number().nullable(),
  /** Of the last record of the device; 0 before the first. */
  seq: z.number().int().nonnegative(),
  reason: z.object({ code: z.string(), text: z.string() }).nullable(),
});

/** What a rollout means for one device. */
export const executionSchema = handedOutSchema.extend({
  deviceId: z.string(),
  class: z.string(),
  wave: z.number().int().nonnegative(),
  /** What the device was like when its job was issued. */
  before: valuesSchema.nullable(),
  /** Its job was spoken of before it was to be given again, with `seq` at 0. */
  wasHeard: z.boolean().default(false),
  /** It went back by itself. */
  rolledBack: z.boolean(),
  /** The job that undoes this one. */
  back: handedOutSchema.nullable(),
});

export type Execution = z.infer<typeof executionSchema>;
export type HandedOut = z.infer<typeof handedOutSchema>;
export type ExecutionState = (typeof executionStates)[number];
export type Values = z.infer<typeof valuesSchema>;
export type Executions = ReadonlyMap<string, Execution>;

/** Whether nothing more is expected of a job. */
export function isOver({ state }: HandedOut): boolean {
  return state !== 'pending' && state !== 'open';
}

/** Why a job has failed that nobody was heard of in time. */
export const NO_ANSWER = 'no_answer';

/** Ended here and not by the device: what it says later counts all the same. */
export function isGivenUp(job: HandedOut): boolean {
  return isOver(job) && job.reason?.code === NO_ANSWER;
}

/** Id of the job of a rollout for a device: always the same, so that no device gets two. */
export function jobIdFor(rolloutId: string, deviceId: string, kind: 'deploy' | 'rollback'): string {
  const text = `${rolloutId}\n${deviceId}\n${kind}`;
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 20);
  return `${rolloutId.slice(0, 36)}.${hash}${kind === 'rollback' ? '.back' : ''}`;
}

export function newExecution(rolloutId: string, row: DeviceRow, wave: number): Execution {
  return {
    ...handedOut(jobIdFor(rolloutId, row.deviceId, 'deploy')),
    deviceId: row.deviceId,
    class: row.class,
    wave,
    before: null,
    wasHeard: false,
    rolledBack: false,
    back: null,
  };
}

export function handedOut(jobId: string): HandedOut {
  return { jobId, state: 'pending', issuedMs: null, deadlineMs: null, seq: 0, reason: null };
}

export function valuesOf({ p90Ms, accuracy, celsius }: DeviceRow): Values {
  return { p90Ms, accuracy, celsius };
}

/** What a device is like before it gets a release: figures of another model say nothing of this one. */
export function valuesBefore(row: DeviceRow, model: string): Values {
  const values = valuesOf(row);
  return row.model?.name === model ? values : { ...values, p90Ms: null, accuracy: null };
}

const ENDED: Readonly<Partial<Record<JobStatus, ExecutionState>>> = {
  SUCCEEDED: 'succeeded',
  FAILED: 'failed',
  TIMED_OUT: 'failed',
  EXPIRED: 'failed',
  REJECTED: 'rejected',
  CANCELED: 'canceled',
};

/**
 * The execution after a device has spoken of one of its two jobs, or the same one when that says
 * nothing new: an older record, or one of a job that has ended. The end of a job that was given up is
 * new: what it brought to the device may have to be undone.
 */
export function withRecord(execution: Execution, record: SeenRecord): Execution {
  const { back } = execution;
  if (record.jobId === back?.jobId) {
    const next = heardOf(back, record);
    return next === back ? execution : { ...execution, back: next };
  }
  if (record.jobId !== execution.jobId) return execution;
  const next = heardOf(execution, record);
  if (next === execution) return execution;
  return { ...next, rolledBack: isOver(next) && record.outcome === 'rolled_back' };
}

/**
 * The execution for another board under the same name: nobody has spoken yet of the jobs that are open.
 * The same one where there is none. A broker that has forgotten everything looks like a new board: that
 * somebody was heard stays, or devices that the release has killed would pass for switched off.
 */
export function afresh(execution: Execution): Execution {
  const { back } = execution;
  if (back?.state === 'open') return { ...execution, back: { ...back, seq: 0 } };
  if (execution.state !== 'open') return execution;
  return { ...execution, seq: 0, wasHeard: execution.wasHeard || execution.seq > 0 };
}

function heardOf<T extends HandedOut>(job: T, record: SeenRecord): T {
  if (record.seq <= job.seq) return job;
  // That it was taken back is what was done when it was given up.
  const isLate = isGivenUp(job) && isFinished(record.status) && record.status !== 'CANCELED';
  if (job.state !== 'open' && !isLate) return job;
  const state = ENDED[record.status] ?? 'open';
  const reason = isFinished(record.status) && state !== 'succeeded' ? reasonOf(record) : null;
  return { ...job, seq: record.seq, state, reason };
}

const MAX_TEXT = 300;

function reasonOf({ reason, status }: SeenRecord): { code: string; text: string } {
  const { code, text } = reason ?? { code: status.toLowerCase(), text: '' };
  return { code: code.slice(0, 64), text: text.slice(0, MAX_TEXT) };
}
