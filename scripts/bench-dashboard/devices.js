// @ts-check
// What the devices of bench-dashboard.js say of themselves.
import { createHash } from 'node:crypto';
import { performance } from 'node:perf_hooks';

/** @param {number} at */
export const idOf = (at) => `bench-${String(at).padStart(5, '0')}`;

const CLASSES = ['rpi-4b', 'rpi-5', 'jetson-orin-nano', 'coral-dev-board', 'rk3588-rock5b'];
/** As agent/fleet/protocol/topics.ts has them. */
const CARD_SHARDS = 64;

/**
 * Topics and documents that a device leaves at the broker.
 * @param {number} at
 * @returns {readonly (readonly [string, object])[]}
 */
export function documentsOf(at) {
  const deviceId = idOf(at);
  const [byte = 0] = createHash('sha256').update(deviceId).digest();
  const shard = (byte % CARD_SHARDS).toString(16).padStart(2, '0');
  const base = `edgefit/v1/d/${deviceId}/up`;
  return [
    [`${base}/status`, statusOf(deviceId)],
    [`${base}/card/${shard}`, cardOf(deviceId, at)],
    [`${base}/twin`, twinOf(deviceId, at)],
  ];
}

/** @param {string} deviceId */
function statusOf(deviceId) {
  const now = new Date().toISOString();
  return {
    schema: 'edgefit/status/1',
    deviceId,
    state: 'online',
    session: 1,
    bootId: 'b',
    since: now,
    ts: now,
    agent: '0.1.0',
    cause: null,
  };
}

/** @param {string} deviceId @param {number} at */
function cardOf(deviceId, at) {
  const own = CLASSES[at % CLASSES.length] ?? '';
  return {
    schema: 'edgefit/card/1',
    deviceId,
    ts: new Date().toISOString(),
    session: 1,
    agent: '0.1.0',
    class: own,
    board: own,
    arch: 'arm64',
    tags: [`site-${at % 12}`],
    precisions: ['int8', 'fp32'],
    runtimes: ['onnxruntime'],
    accelerators: [],
    memoryBytes: 4e9,
    jobTypes: ['bench'],
    keyIds: [],
  };
}

/** @param {string} deviceId @param {number} at */
function twinOf(deviceId, at) {
  const ts = new Date().toISOString();
  const digest = createHash('sha256')
    .update(`${at % 40}`)
    .digest('hex');
  const model = { name: `model-${at % 4}`, version: `${at % 3}.0.0`, precision: 'int8' };
  return {
    schema: 'edgefit/twin/1',
    deviceId,
    ts,
    rev: 1,
    activeModel: { ...model, digest, releaseCounter: at % 9 },
    settings: { counter: null, applied: {}, refused: null },
    lastBench: {
      benchId: 'b',
      digest,
      ts,
      p90Ms: 1 + (at % 977) / 7,
      accuracy: { metric: 'top1', value: 0.9 + (at % 89) / 1000 },
    },
  };
}

/**
 * Six values, as a device with a busy processor sends them.
 * @param {number} at
 * @param {number} seq
 */
export function telemetryOf(at, seq) {
  return JSON.stringify({
    schema: 'edgefit/telemetry/1',
    deviceId: idOf(at),
    stream: 'host',
    seq,
    ts: Date.now(),
    mono: performance.now(),
    bootId: 'b',
    full: false,
    values: {
      cpuRatio: Math.random(),
      memoryAvailableBytes: Math.round(Math.random() * 4e9),
      socCelsius: 40 + Math.random() * 30,
      powerWatts: 3 + Math.random(),
      networkReceivedBytes: seq * 1000,
      networkSentBytes: seq * 900,
    },
  });
}
