import { createHash } from 'node:crypto';
import { jobDocumentSchema, type JobRecord, type JobType } from '../../contracts/job.ts';
import { codeOf, messageOf } from '../../util/errors.ts';
import type { UnverifiedDocument } from '../device/incoming.ts';
import type { JobsPort } from '../device/jobs-port.ts';
import { refuse, type Refusal } from '../device/refusals.ts';
import { canonicalJson } from '../protocol/canonical.ts';
import type { OutgoingMessage } from '../protocol/outgoing.ts';
import { topicFor } from '../protocol/topics.ts';
import type { Counters } from './counters.ts';
import type { DocumentTrust } from './document-trust.ts';
import type { Moment } from './entry.ts';
import { Lane } from '../../util/lane.ts';
import type { JobRunner } from './runner.ts';

export interface PortOptions {
  readonly deviceId: string;
  readonly runner: JobRunner;
  readonly trust: DocumentTrust;
  readonly counters: Counters;
  /** What this device can do. */
  readonly types: readonly JobType[];
  readonly moment: () => Moment;
  readonly publish: (message: OutgoingMessage) => void;
  readonly decisions: JobsPort['decisions'];
}

/** Documents that could not be judged or kept yet; each may have 128 KiB. */
const MAX_POSTPONED = 32;

/** What cannot be decided now: nobody's keys are known, or the disk is full. */
const PASSING: readonly Refusal['refused'][] = ['UNVERIFIED', 'FAILED'];

export interface JobsDoor extends JobsPort {
  /** Looks again at documents that could not be judged when they came. */
  readonly retry: () => Promise<void>;
}

/** Where job documents come in: verified here, and taken by the runner. */
export function openPort(options: PortOptions): JobsDoor {
  const { deviceId, runner, publish } = options;
  const postponed = new Map<string, UnverifiedDocument>();
  // What is looked at again may come from the broker at the same time.
  const lane = new Lane();
  const inTurn = async <T>(work: () => Promise<T>): Promise<T> => {
    const leave = await lane.enter();
    try {
      return await work();
    } finally {
      leave();
    }
  };
  const judge = async (jobId: string, document: UnverifiedDocument): Promise<Refusal | null> => {
    postponed.delete(jobId);
    const refusal = await take(jobId, document, options);
    if (refusal === null) return null;
    if (PASSING.includes(refusal.refused) && postponed.size < MAX_POSTPONED) {
      postponed.set(jobId, document);
    } else if (refusal.refused !== 'STALE_EPOCH' && !runner.isKnown(jobId)) {
      // Whoever leads by now may have given the same job: its record must not say that it was refused.
      publish(recordMessage(refusedRecord(jobId, document, refusal, options)));
    }
    return refusal;
  };
  return {
    types: options.types.map((type) => ({ type, min: 1, max: 1 })),
    onJob: (jobId, document) => inTurn(() => judge(jobId, document)),
    onCleared: (jobId) =>
      inTurn(async () => {
        postponed.delete(jobId);
        // Whoever gave it has its end, or its refusal: nobody needs the broker to keep it.
        const isOver = await runner.clear(jobId);
        if (isOver || !runner.isKnown(jobId)) publish(emptyRecord(deviceId, jobId));
      }),
    decisions: options.decisions,
    openRecords: async function* records() {
      for (const { jobId } of runner.unarchived()) {
        const record = runner.recordOf(jobId);
        if (record !== null) yield recordMessage(record);
      }
    },
    retry: async () => {
      // One that is postponed again is not looked at twice.
      const documents = [...postponed.entries()];
      for (const [jobId, document] of documents) {
        // oxlint-disable-next-line no-await-in-loop -- a few, in the order in which they came
        await inTurn(async () => {
          // Taken back, or come again, meanwhile?
          if (postponed.get(jobId) === document) await judge(jobId, document);
        });
      }
    },
  };

  function recordMessage(record: JobRecord): OutgoingMessage {
    return messageOfRecord(deviceId, record);
  }
}

async function take(
  jobId: string,
  document: UnverifiedDocument,
  { runner, trust, counters }: PortOptions,
): Promise<Refusal | null> {
  // Retained, it comes with every connection, also when it has long expired.
  if (runner.repeat(jobId, digestOf(document))) return null;
  const verified = await trust.verify(document, 'job');
  if ('refused' in verified) return verified;
  const parsed = jobDocumentSchema.safeParse(verified.signed);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue?.path.map(String).join('.') ?? '';
    return refuse('BAD_FIELD', `${where}: ${issue?.message ?? 'not as expected'}`);
  }
  if (parsed.data.jobId !== jobId) {
    return refuse('BAD_FIELD', `jobId: it is signed for job ${parsed.data.jobId}`);
  }
  const { epoch } = parsed.data;
  if (epoch !== undefined && epoch < counters.epoch()) {
    const why = `it is of a controller of epoch ${epoch}; one of ${counters.epoch()} leads`;
    return refuse('STALE_EPOCH', why);
  }
  try {
    // Before it is taken: a crash between the two leaves a document that may still come.
    await counters.raiseDocument('job', parsed.data.counter);
    if (epoch !== undefined) await counters.raiseEpoch(epoch);
    const record = await runner.submit(parsed.data, verified.digest);
    return record.reason?.code === 'id_reuse' ? refuse('ID_REUSE', record.reason.text) : null;
  } catch (error) {
    return refuse('FAILED', `${messageOf(error)} (${codeOf(error) ?? 'unexpected'})`);
  }
}

/** As verifyDocument makes it; null where there is no signed part. */
function digestOf({ signed }: UnverifiedDocument): string | null {
  if (typeof signed !== 'object' || signed === null) return null;
  try {
    return createHash('sha256').update(canonicalJson(signed)).digest('hex');
  } catch {
    // Not every JSON value has a canonical form.
    return null;
  }
}

/** Takes the record of a job away from the broker. */
function emptyRecord(deviceId: string, jobId: string): OutgoingMessage {
  const topic = topicFor('execution', { device: deviceId, job: jobId });
  return { topic, payload: '', retain: true, schema: 'edgefit/job/1' };
}

/** The record of a job, ready to be published. */
export function messageOfRecord(deviceId: string, record: JobRecord): OutgoingMessage {
  return {
    topic: topicFor('execution', { device: deviceId, job: record.jobId }),
    payload: JSON.stringify(record),
    retain: true,
    schema: record.schema,
  };
}

/** What is said of a document that never became a job. */
function refusedRecord(
  jobId: string,
  { signed }: UnverifiedDocument,
  { refused, why, lowestCounter }: Refusal,
  { deviceId, moment }: PortOptions,
): JobRecord {
  const type: unknown =
    typeof signed === 'object' && signed !== null && 'jobType' in signed ? signed.jobType : null;
  return {
    schema: 'edgefit/job/1',
    deviceId,
    jobId,
    jobType: typeof type === 'string' ? type.slice(0, 64) : 'unknown',
    rolloutId: null,
    digest: null,
    seq: 1,
    status: refused === 'EXPIRED' ? 'EXPIRED' : 'REJECTED',
    phase: 'accepted',
    attempt: 1,
    outcome: 'no_state_change',
    reason: { code: refused.toLowerCase(), text: why },
    progress: null,
    // Whoever issued it can issue it again.
    result: lowestCounter === undefined ? null : { lowestCounter },
    phases: {},
    ...moment(),
  };
}
