import { createHash } from 'node:crypto';
import type { BenchReport } from '../../contracts/bench.ts';
import type { Card } from '../../contracts/card.ts';
import type { Facts } from '../../contracts/facts.ts';
import type { Birth, JobType } from '../../contracts/messages.ts';
import { cardShard, topicFor } from './topics.ts';

/** A message ready to be published: `payload` is JSON text, `schema` names what it holds. */
export interface OutgoingMessage {
  readonly topic: string;
  readonly payload: string;
  readonly retain: boolean;
  readonly schema: string;
  /** Default 1: acknowledged by the broker. */
  readonly qos?: 0 | 1;
  /** The rest exists under MQTT 5 only; the payload holds whatever of it matters. */
  readonly marks?: Readonly<Record<string, string>>;
  readonly expirySeconds?: number;
  readonly correlationData?: Uint8Array;
}

/** Some cloud brokers (AWS IoT among them) refuse larger messages. */
export const MAX_PAYLOAD_BYTES = 128 * 1024;

/** The documents that this version of the agent writes to MQTT. */
const SCHEMAS = ['edgefit/birth/1', 'edgefit/facts/1', 'edgefit/bench/1'];

export interface BirthInput {
  readonly deviceId: string;
  readonly facts: Facts;
  /** Version of the agent. */
  readonly agent: string;
  /** Session of the daemon, null when a one-shot command speaks. */
  readonly session: number | null;
  readonly now: Date;
  /** What only the daemon can say. */
  readonly daemon?: DaemonBirth;
}

export interface DaemonBirth {
  readonly bootId: string | null;
  readonly tags: readonly string[];
  readonly jobs: readonly JobType[];
  readonly keyIds: readonly string[];
}

/** The retained message that says what a device is. Throws TopicError on a bad device id. */
export function birthMessage(input: BirthInput): OutgoingMessage {
  const { facts } = input;
  const birth: Birth = {
    schema: 'edgefit/birth/1',
    deviceId: input.deviceId,
    ts: input.now.toISOString(),
    session: input.session,
    agent: input.agent,
    precisions: facts.profile.precisions,
    runtimes: facts.profile.runtimes,
    accelerators: facts.accelerators.filter(({ usable }) => usable).map(({ kind }) => kind),
    schemas: SCHEMAS,
    facts,
    ...(input.daemon === undefined ? {} : copyOf(input.daemon)),
  };
  return {
    topic: topicFor('birth', { device: input.deviceId }),
    payload: JSON.stringify(birth),
    retain: true,
    schema: birth.schema,
  };
}

function copyOf({ bootId, tags, jobs, keyIds }: DaemonBirth) {
  return { bootId, tags: [...tags], jobs: [...jobs], keyIds: [...keyIds] };
}

/** What a device is, in short, retained in its shard. Throws TopicError on a bad id. */
export function cardMessage(
  input: BirthInput & { readonly session: number; readonly daemon: DaemonBirth },
): OutgoingMessage {
  const { facts, deviceId, daemon } = input;
  const card: Card = {
    schema: 'edgefit/card/1',
    deviceId,
    ts: input.now.toISOString(),
    session: input.session,
    agent: input.agent,
    class: facts.profile.id,
    board: facts.board.model ?? facts.board.id,
    arch: facts.cpu.arch,
    tags: [...daemon.tags],
    precisions: facts.profile.precisions,
    runtimes: facts.profile.runtimes,
    accelerators: facts.accelerators.filter(({ usable }) => usable).map(({ kind }) => kind),
    memoryBytes: facts.memory.totalBytes ?? 0,
    jobTypes: daemon.jobs.map(({ type }) => type),
    keyIds: [...daemon.keyIds],
  };
  return {
    topic: topicFor('card', { device: deviceId, shard: cardShard(deviceId) }),
    payload: JSON.stringify(card),
    retain: true,
    schema: card.schema,
  };
}

/**
 * The id of a benchmark: when it started and a digest of what it found, so that the same report
 * sent twice (QoS 1 delivers at least once) arrives on the same topic.
 */
export function benchIdOf(report: BenchReport): string {
  const started = report.startedAt.replaceAll(/[^0-9TZ]/g, '').slice(0, 24);
  const digest = createHash('sha256').update(JSON.stringify(report)).digest('hex').slice(0, 12);
  return `${started}-${digest}`;
}

/** The message that carries one benchmark report. Throws TopicError on a bad id. */
export function benchMessage(
  deviceId: string,
  report: BenchReport,
  benchId: string = benchIdOf(report),
): OutgoingMessage {
  return {
    topic: topicFor('bench', { device: deviceId, bench: benchId }),
    payload: JSON.stringify(report),
    retain: false,
    schema: report.schema,
  };
}
