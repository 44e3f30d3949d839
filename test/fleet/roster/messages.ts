import { cardTopic } from '../../../agent/fleet/roster/fleet-link.ts';
import type { FleetMessage } from '../../../agent/fleet/roster/read.ts';
import { readFleetMessage } from '../../../agent/fleet/roster/read.ts';

/** Messages of invented devices, as they are on the wire: topic and JSON. */
export type Wire = readonly [topic: string, document: Readonly<Record<string, unknown>>];

const UP = (device: string) => `edgefit/v1/d/${device}/up`;
export const NOW_MS = Date.parse('2026-03-01T12:00:00.000Z');
const TS = new Date(NOW_MS).toISOString();

export function status(deviceId: string, more: Readonly<Record<string, unknown>> = {}): Wire {
  const document = {
    schema: 'edgefit/status/1',
    deviceId,
    state: 'online',
    session: 1,
    bootId: null,
    since: TS,
    ts: TS,
    agent: '0.1.0',
    cause: null,
    ...more,
  };
  return [`${UP(deviceId)}/status`, document];
}

export function card(deviceId: string, more: Readonly<Record<string, unknown>> = {}): Wire {
  const document = {
    schema: 'edgefit/card/1',
    deviceId,
    ts: TS,
    session: 1,
    agent: '0.1.0',
    class: 'rpi-5',
    board: 'Raspberry Pi 5 Model B Rev 1.0',
    arch: 'arm64',
    tags: ['site-a'],
    precisions: ['int8', 'fp16', 'fp32'],
    runtimes: ['onnxruntime'],
    accelerators: [],
    memoryBytes: 8_000_000_000,
    jobTypes: ['deploy', 'rollback'],
    keyIds: ['a'.repeat(64)],
    ...more,
  };
  return [cardTopic(deviceId), document];
}

export function twin(deviceId: string, more: Readonly<Record<string, unknown>> = {}): Wire {
  const document = {
    schema: 'edgefit/twin/1',
    deviceId,
    ts: TS,
    rev: 1,
    activeModel: null,
    settings: { counter: null, applied: {}, refused: null },
    lastBench: null,
    counters: { job: 0, twin: 0 },
    ...more,
  };
  return [`${UP(deviceId)}/twin`, document];
}

export function record(
  deviceId: string,
  jobId: string,
  more: Readonly<Record<string, unknown>> = {},
): Wire {
  const document = {
    schema: 'edgefit/job/1',
    deviceId,
    jobId,
    jobType: 'deploy',
    rolloutId: null,
    digest: null,
    seq: 1,
    status: 'QUEUED',
    phase: 'accepted',
    attempt: 1,
    outcome: null,
    reason: null,
    progress: null,
    result: null,
    phases: {},
    ts: TS,
    mono: 1,
    bootId: null,
    ...more,
  };
  return [`${UP(deviceId)}/job/${jobId}`, document];
}

export function telemetry(deviceId: string, values: Readonly<Record<string, number | null>>): Wire {
  const document = {
    schema: 'edgefit/telemetry/1',
    deviceId,
    stream: 'host',
    seq: 1,
    ts: NOW_MS,
    mono: 1,
    bootId: null,
    full: true,
    values,
  };
  return [`${UP(deviceId)}/tele/host`, document];
}

/** As the roster takes it. Throws where it cannot be read. */
export function seen([topic, document]: Wire): FleetMessage {
  const message = readFleetMessage(topic, Buffer.from(JSON.stringify(document)));
  if (message === null) throw new Error(`cannot be read: ${topic}`);
  return message;
}
