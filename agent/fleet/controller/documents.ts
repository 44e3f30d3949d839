import { rolloutSchema, type Rollout } from '../../contracts/rollout.ts';
import type { SignedPart } from '../../contracts/signed.ts';
import type { OutgoingMessage } from '../protocol/outgoing.ts';
import { signDocument, type Signer } from '../protocol/signed.ts';
import { topicFor } from '../protocol/topics.ts';
import type { Issue } from '../rollouts/state.ts';
import type { KeptDocument } from './store/rollouts.ts';

export interface DocumentInput {
  readonly issue: Issue;
  readonly record: Rollout;
  readonly counter: number;
  readonly epoch: number;
  readonly issuedMs: number;
}

/** The signed job of a rollout for one device. */
export function jobDocument(input: DocumentInput, signer: Signer): Omit<KeptDocument, 'isSecond'> {
  const { issue, record, counter, epoch } = input;
  const { deviceId, jobId } = issue;
  const text = JSON.stringify(signDocument(signedPart(input), [signer]));
  return { jobId, deviceId, rolloutId: record.rolloutId, epoch, counter, text };
}

function signedPart({ issue, record, counter, epoch, issuedMs }: DocumentInput): SignedPart {
  const { spec, rolloutId } = record;
  const { window, policy, probeSeconds, jitterSeconds } = spec;
  const common = {
    type: 'job' as const,
    deviceId: issue.deviceId,
    jobId: issue.jobId,
    rolloutId,
    wave: issue.wave,
    counter,
    epoch,
    expires: new Date(issuedMs + spec.jobSeconds * 1000).toISOString(),
  };
  // What fails on a device must be undone at once, whatever the window says.
  if (issue.kind === 'rollback') {
    return { ...common, jobType: 'rollback', model: { name: spec.model.name } };
  }
  return {
    ...common,
    jobType: 'deploy',
    model: spec.model,
    ...(window === undefined ? {} : { window }),
    ...(policy === undefined ? {} : { policy }),
    ...(probeSeconds === undefined ? {} : { probeSeconds }),
    ...(jitterSeconds === undefined ? {} : { jitterSeconds }),
  };
}

export function documentMessage({ deviceId, jobId, text }: KeptDocument): OutgoingMessage {
  return { ...jobTopic(deviceId, jobId), payload: text, schema: 'edgefit/signed/1' };
}

/** Takes a job document away from the broker. */
export function clearMessage(deviceId: string, jobId: string): OutgoingMessage {
  return { ...jobTopic(deviceId, jobId), payload: '', schema: 'edgefit/signed/1' };
}

function jobTopic(deviceId: string, jobId: string) {
  return { topic: topicFor('job', { device: deviceId, job: jobId }), retain: true };
}

export function recordMessage(record: Rollout): OutgoingMessage {
  return {
    topic: topicFor('rollout', { rollout: record.rolloutId }),
    payload: JSON.stringify(record),
    retain: true,
    schema: record.schema,
  };
}

/** Takes the record of a rollout away from the broker. */
export function clearRecordMessage(rollout: string): OutgoingMessage {
  const topic = topicFor('rollout', { rollout });
  return { topic, payload: '', retain: true, schema: 'edgefit/rollout/1' };
}

const revisionSchema = rolloutSchema.pick({ rev: true });

/** A record's revision; null where there is none that can be read. */
export function revOf(payload: Buffer | string | undefined): number | null {
  if (payload === undefined) return null;
  try {
    return revisionSchema.parse(JSON.parse(payload.toString())).rev;
  } catch {
    // Whatever somebody has left there.
    return null;
  }
}
