import { z } from 'zod';
import {
  jobDocumentSchema,
  jobPhases,
  jobRecordSchema,
  type JobDocument,
  type JobOutcome,
  type JobPhase,
  type JobRecord,
  type JobStatus,
} from '../../contracts/job.ts';
import { isFinished } from '../protocol/finished.ts';
import { MAX_ATTEMPTS, needsRollback, phaseAfter } from './phases.ts';

/**
 * One job as the journal keeps it: the document, the last record, and what the phases found out. Pure:
 * every transition makes a new entry, and the runner writes it before it acts.
 */
export const entrySchema = z.object({
  schema: z.literal('edgefit/journal/1'),
  /** Jobs are worked on in the order in which they came, and forgotten in that in which they ended. */
  order: z.number().int().positive(),
  digest: z.string(),
  document: jobDocumentSchema,
  phase: z.enum(jobPhases),
  /** How often each phase has begun. */
  attempts: z.partialRecord(z.enum(jobPhases), z.number().int().positive()),
  /** What a later phase needs of an earlier one. */
  data: z.record(z.string(), z.unknown()),
  /** Why it is on its way back. */
  failure: z.object({ code: z.string(), text: z.string() }).nullable(),
  /** Times this entry was written: a job that runs in circles ends. */
  writes: z.number().int().nonnegative(),
  record: jobRecordSchema,
  /** Whoever gave the job has seen its end. */
  archived: z.boolean().default(false),
});

export type Entry = z.infer<typeof entrySchema>;

export interface Reason {
  readonly code: string;
  readonly text: string;
}

/** The moment of a transition, as the device knows it. */
export interface Moment {
  readonly ts: string;
  /** Milliseconds since boot. */
  readonly mono: number;
  readonly bootId: string | null;
}

/** Above what any job needs with all its attempts; Mender's guard is 28 for its shorter chain. */
export const MAX_WRITES = 64;

export function isTerminal({ record }: Entry): boolean {
  return isFinished(record.status);
}

/** A job that has just been accepted for the journal. */
export function openEntry(
  deviceId: string,
  document: JobDocument,
  digest: string,
  order: number,
  moment: Moment,
): Entry {
  const record: JobRecord = {
    schema: 'edgefit/job/1',
    deviceId,
    jobId: document.jobId,
    jobType: document.jobType,
    rolloutId: document.rolloutId ?? null,
    digest,
    seq: 1,
    status: 'QUEUED',
    phase: 'accepted',
    attempt: 1,
    outcome: null,
    reason: null,
    progress: null,
    result: null,
    phases: {},
    ...moment,
  };
  return {
    schema: 'edgefit/journal/1',
    order,
    digest,
    document,
    phase: 'accepted',
    attempts: {},
    data: {},
    failure: null,
    writes: 0,
    record,
    archived: false,
  };
}

/** Begins a phase, or begins it again after a restart. */
export function beginPhase(entry: Entry, phase: JobPhase, moment: Moment): Entry {
  const attempt = (entry.attempts[phase] ?? 0) + 1;
  const attempts = { ...entry.attempts, [phase]: attempt };
  const change = { status: 'IN_PROGRESS' as const, phase, attempt, progress: null };
  return { ...entry, phase, attempts, record: nextRecord(entry.record, change, moment) };
}

/** What follows when a phase is done: the next phase, or the end of the job. */
export function afterPhase(entry: Entry): JobPhase | null {
  if (entry.phase === 'rolling_back') return null;
  return phaseAfter(entry.document.jobType, entry.phase);
}

/** Whether a phase has begun as often as it may. */
export function isExhausted(entry: Entry): boolean {
  return (entry.attempts[entry.phase] ?? 0) >= MAX_ATTEMPTS[entry.phase];
}

/**
 * What follows a failure: where the device may already run something else the reason is kept and the
 * way back is next; otherwise, and on the way back itself, it is the end: what is loadable keeps
 * running, and it is said.
 */
export function failed(entry: Entry, reason: Reason, status: JobStatus, moment: Moment): Entry {
  const { document, phase } = entry;
  if (needsRollback(document.jobType, phase)) {
    const keeps = document.jobType === 'deploy' && document.onFailure === 'keep';
    // What the job itself asked for: the new model stays, and its failure is said.
    if (keeps && phase !== 'activating') return ended(entry, status, 'applied', reason, moment);
    return { ...entry, failure: reason, record: { ...entry.record, reason } };
  }
  if (entry.phase === 'rolling_back') {
    return ended(entry, 'FAILED', 'rollback_failed', reason, moment);
  }
  return ended(entry, status, 'no_state_change', reason, moment);
}

/** The last transition: a terminal record never changes again. */
export function ended(
  entry: Entry,
  status: JobStatus,
  outcome: JobOutcome,
  reason: Reason | null,
  moment: Moment,
): Entry {
  if (isTerminal(entry)) return entry;
  const change = { status, outcome, reason, progress: null };
  return { ...entry, record: nextRecord(entry.record, change, moment) };
}

/** Adds what a phase found out, and how long it took. */
export function withFindings(
  entry: Entry,
  data: Readonly<Record<string, unknown>>,
  result: Readonly<Record<string, unknown>> | null,
  spentMs: number,
): Entry {
  const { record } = entry;
  const phases = {
    ...record.phases,
    [entry.phase]: (record.phases[entry.phase] ?? 0) + Math.round(spentMs),
  };
  const merged = result === null ? record.result : { ...record.result, ...result };
  return {
    ...entry,
    data: { ...entry.data, ...data },
    record: { ...record, phases, result: merged },
  };
}

/** How far a phase is; not kept in the journal, it is known again when the phase goes on. */
export function withProgress(
  entry: Entry,
  progress: { readonly done: number; readonly of: number },
  moment: Moment,
): Entry {
  return { ...entry, record: nextRecord(entry.record, { progress: { ...progress } }, moment) };
}

function nextRecord(record: JobRecord, change: Partial<JobRecord>, moment: Moment): JobRecord {
  return { ...record, ...change, ...moment, seq: record.seq + 1 };
}
