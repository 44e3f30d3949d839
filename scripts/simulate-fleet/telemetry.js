// @ts-check
// What devices measure of themselves: a random walk each, a few of them hot.
import { built } from './built.js';
import { chance } from './chance.js';

/** @type {typeof import('../../agent/fleet/protocol/topics.ts')} */
const { topicFor } = await built('fleet/protocol/topics');

/** @typedef {import('./device.js').Simulated} Simulated */
/** @typedef {import('../../agent/contracts/telemetry.ts').Telemetry} Telemetry */

/** Share of the devices that run hot, and how hot. */
const HOT_SHARE = 0.03;
const [HOT_CELSIUS, COOL_CELSIUS] = [83, 48];
const THROTTLED_FROM_CELSIUS = 80;
/** Every so many messages all values are sent, else those that changed. */
const FULL_EVERY = 30;

/**
 * @typedef {object} Walk
 * @property {number} seq
 * @property {number} celsius
 * @property {number} load 0 to 1
 */

/** @param {string} id @returns {Walk} */
export function startWalk(id) {
  const isHot = chance('telemetry', id, 'hot') < HOT_SHARE;
  return {
    seq: 0,
    celsius: (isHot ? HOT_CELSIUS : COOL_CELSIUS) + 6 * (chance('telemetry', id, 'start') - 0.5),
    load: 0.1 + 0.6 * chance('telemetry', id, 'load'),
  };
}

/** @param {number} value @param {number} low @param {number} high */
const within = (value, low, high) => Math.min(high, Math.max(low, value));
const step = () => Math.random() - 0.5;
/** @param {number} value */
const rounded = (value) => Number(value.toPrecision(4));

/**
 * The next messages of a device, one a stream.
 * @param {Simulated} simulated
 * @param {Walk} walk moves on
 */
export function nextTelemetry(simulated, walk) {
  const seq = walk.seq + 1;
  const celsius = within(walk.celsius + step() * 1.5, 35, 95);
  const load = within(walk.load + step() * 0.08, 0.02, 1);
  const report = simulated.report();
  const row = report.candidates.find(({ id }) => id === report.chosen);
  const p90 = (row?.latencyMs?.p90 ?? 1) * (celsius > THROTTLED_FROM_CELSIUS ? 1.6 : 1);
  Object.assign(walk, { seq, celsius, load });
  const isFull = seq % FULL_EVERY === 1;
  const total = simulated.machine.facts.memory.totalBytes ?? 0;
  const messages = [
    messageOf(simulated.id, 'host', seq, isFull, {
      socCelsius: rounded(celsius),
      cpuRatio: rounded(load),
      memoryAvailableBytes: Math.round(total * (0.7 - load / 4)),
      throttled: celsius > THROTTLED_FROM_CELSIUS ? 1 : 0,
      ...(isFull
        ? {
            memoryTotalBytes: total,
            diskFreeBytes: 12e9,
            diskTotalBytes: 32e9,
            powerWatts: 4 + load,
          }
        : {}),
    }),
    messageOf(simulated.id, 'infer', seq, isFull, {
      p50Ms: rounded(p90 / (1.05 + 0.05 * Math.random())),
      p90Ms: rounded(p90 * (1 + step() * 0.04)),
      p99Ms: rounded(p90 * 1.25),
      ...(isFull ? { accuracy: row?.accuracy?.value ?? null } : {}),
    }),
  ];
  if (!isFull) return messages;
  const own = {
    rssBytes: 68e6,
    loopDelayP99Ms: 2,
    outboxMessages: 0,
    outboxBytes: 0,
    reconnects: 0,
  };
  return [...messages, messageOf(simulated.id, 'agent', seq, true, own)];
}

/**
 * @param {string} deviceId
 * @param {Telemetry['stream']} stream
 * @param {number} seq
 * @param {boolean} full
 * @param {Telemetry['values']} values
 */
function messageOf(deviceId, stream, seq, full, values) {
  /** @type {Telemetry} */
  const telemetry = {
    schema: 'edgefit/telemetry/1',
    deviceId,
    stream,
    seq,
    ts: Date.now(),
    mono: Math.round(performance.now()),
    bootId: `boot-${deviceId}`,
    full,
    values,
  };
  return {
    topic: topicFor('telemetry', { device: deviceId, stream }),
    payload: JSON.stringify(telemetry),
    retain: false,
    qos: /** @type {const} */ (0),
    schema: telemetry.schema,
  };
}
