// @ts-check
// What a device sends in a day: the samples of a day (of a machine that idles and of one that is busy)
// go through the agent's own streams, by a clock that runs ahead, to a real mosquitto, and a proxy
// counts what passes in both directions. The status of every minute is sent with them; pings are
// added by arithmetic. Needs a build. Prints a table, or one line of JSON with --json.
// `--hours N`: of how long (default 24). `--schedule-seconds N`: between samples (default 10).
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { board } from './telemetry-cost/board.js';

/** @param {string} path */
const built = (path) => import(new URL(`../dist/agent/${path}.js`, import.meta.url).href);
const { TelemetryStreams } = await built('telemetry/streams');
const { connectBroker } = await built('fleet/broker-connection');
const { onlineMessage } = await built('fleet/protocol/presence');
const { topicFor } = await built('fleet/protocol/topics');

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    hours: { type: 'string', default: '24' },
    'schedule-seconds': { type: 'string', default: '10' },
  },
});
const SAMPLE_MS = Number(options['schedule-seconds']) * 1000;
const DAY_MS = Number(options.hours) * 3_600_000;
const MINUTE_MS = 60_000;
const DEVICE = 'edgefit-0123456789ab';
const BOOT = '6f1c9a3e-8b0d-4c57-9f1e-2d3c4b5a6978';
/** PINGREQ and PINGRESP, once a minute: the status resets the timer of 30 s only once. */
const PING_BYTES = 4 * (DAY_MS / MINUTE_MS);

/** @param {number} bytes */
const kb = (bytes) => `${(bytes / 1000).toFixed(0)} kB`.padStart(10);

/** Passes bytes on and counts them. @param {number} target */
async function countingProxy(target) {
  const counted = { up: 0, down: 0 };
  const server = createServer((socket) => {
    const broker = connect(target, '127.0.0.1');
    socket.on('data', (piece) => (counted.up += piece.length));
    broker.on('data', (piece) => (counted.down += piece.length));
    socket.pipe(broker).pipe(socket);
    for (const one of [socket, broker]) one.on('error', () => undefined);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const address = server.address();
  const port = address === null || typeof address === 'string' ? 0 : address.port;
  return { counted, port, close: () => server.close() };
}

/** @param {number} port */
function brokerAt(port) {
  const address = {
    protocol: 'mqtt',
    host: '127.0.0.1',
    port,
    path: '',
    display: 'mqtt://127.0.0.1',
  };
  return { address };
}

/** @param {number} port */
async function connectWhenReady(port) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await connectBroker(brokerAt(port), {
        clientId: DEVICE,
        timeoutMs: 5000,
        protocols: [5],
      });
    } catch (error) {
      if (attempt === 50) throw error;
      await sleep(100);
    }
  }
}

/** @param {boolean} busy @param {number} brokerPort */
async function day(busy, brokerPort) {
  const proxy = await countingProxy(brokerPort);
  const connection = await connectWhenReady(proxy.port);
  const clock = { ms: 0 };
  /** @type {Record<string, { messages: number, payloadBytes: number }>} */
  const sent = {};
  const send = async (/** @type {string} */ kind, /** @type {any} */ message) => {
    sent[kind] ??= { messages: 0, payloadBytes: 0 };
    sent[kind].messages += 1;
    sent[kind].payloadBytes += Buffer.byteLength(message.payload);
    await connection.publish(message);
  };
  const streams = new TelemetryStreams({
    deviceId: DEVICE,
    bootId: BOOT,
    fullMs: 60 * MINUTE_MS,
    historyMs: 0,
    nowMs: () => 1_790_000_000_000 + clock.ms,
    monoMs: () => 86_400_000 + clock.ms,
    isOnline: () => true,
    publish: (/** @type {any} */ message) =>
      send(message.stream, {
        topic: topicFor('telemetry', { device: DEVICE, stream: message.stream }),
        schema: message.schema,
        payload: JSON.stringify(message),
        retain: false,
        qos: 0,
      }),
    keep: () => Promise.reject(new Error('it is never offline')),
  });
  const sample = board(busy, SAMPLE_MS);
  const model = { name: 'keyword-spotting', version: '1.4.0', precision: 'int8' };
  const facts = { deviceId: DEVICE, session: 12, bootId: BOOT, since: new Date(0), agent: '0.1.0' };
  const before = { ...proxy.counted };
  for (; clock.ms < DAY_MS; clock.ms += SAMPLE_MS) {
    const { host, agent, infer } = sample();
    await streams.take('host', host);
    await streams.take('agent', agent);
    await streams.take('infer', infer, model);
    if (clock.ms % MINUTE_MS === 0) {
      await send('status', onlineMessage(facts, new Date(1_790_000_000_000 + clock.ms)));
    }
  }
  await connection.close();
  await sleep(100);
  proxy.close();
  const wireBytes = proxy.counted.up - before.up + (proxy.counted.down - before.down) + PING_BYTES;
  const status = sent['status'] ?? { messages: 0, payloadBytes: 0 };
  const telemetry = Object.entries(sent).filter(([kind]) => kind !== 'status');
  const sum = (/** @type {'messages' | 'payloadBytes'} */ key) =>
    telemetry.reduce((total, [, one]) => total + one[key], 0);
  return {
    wireBytes,
    telemetryMessages: sum('messages'),
    telemetryBytes: sum('payloadBytes'),
    status,
    sent,
  };
}

const folder = mkdtempSync(join(tmpdir(), 'edgefit-cost-'));
const port = 20_000 + (process.pid % 20_000);
writeFileSync(join(folder, 'mosquitto.conf'), `listener ${port} 127.0.0.1\nallow_anonymous true\n`);
const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` };
const broker = spawn('mosquitto', ['-c', join(folder, 'mosquitto.conf')], { stdio: 'ignore', env });
try {
  const result = {
    hours: Number(options.hours),
    idle: await day(false, port),
    busy: await day(true, port),
  };
  if (options.json) console.log(JSON.stringify(result));
  else {
    console.log(`in ${options.hours} h            messages   telemetry   all on the wire`);
    for (const kind of /** @type {const} */ (['idle', 'busy'])) {
      const { telemetryMessages, telemetryBytes, wireBytes } = result[kind];
      console.log(
        `${kind.padEnd(18)} ${String(telemetryMessages).padStart(8)}  ${kb(telemetryBytes)}        ${kb(wireBytes)}`,
      );
    }
  }
} finally {
  broker.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}
process.exit();
