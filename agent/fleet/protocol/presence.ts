import type { OfflineCause, Status } from '../../contracts/fleet-status.ts';
import type { OutgoingMessage } from './outgoing.ts';
import { topicFor } from './topics.ts';

/** What stays the same during one connection of a device. */
export interface SessionFacts {
  readonly deviceId: string;
  readonly session: number;
  readonly bootId: string | null;
  readonly since: Date;
  /** Version of the agent. */
  readonly agent: string;
}

function statusMessage(
  facts: SessionFacts,
  state: Status['state'],
  cause: OfflineCause | null,
  ts: Date | null,
): OutgoingMessage {
  const status: Status = {
    schema: 'edgefit/status/1',
    deviceId: facts.deviceId,
    state,
    session: facts.session,
    bootId: facts.bootId,
    since: facts.since.toISOString(),
    ts: ts?.toISOString() ?? null,
    agent: facts.agent,
    cause,
  };
  return {
    topic: topicFor('status', { device: facts.deviceId }),
    payload: JSON.stringify(status),
    retain: true,
    schema: status.schema,
  };
}

/** Published at once after connecting, and again every minute. */
export function onlineMessage(facts: SessionFacts, now: Date): OutgoingMessage {
  return statusMessage(facts, 'online', null, now);
}

/** Published before a goodbye. */
export function offlineMessage(facts: SessionFacts, now: Date): OutgoingMessage {
  return statusMessage(facts, 'offline', 'stopped', now);
}

/** What the broker publishes when the device is gone without a goodbye. */
export function willMessage(facts: SessionFacts): OutgoingMessage {
  return statusMessage(facts, 'offline', 'lost', null);
}
