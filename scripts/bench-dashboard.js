// @ts-check
// What the dashboard's server costs. Needs dist/ and mosquitto.
//
//     node scripts/bench-dashboard.js [--devices 1000] [--rows 10000] [--hours 1] [--rate 2500] [--json]
//
// `rows`: so many devices are retained at the broker; the first answer with all of them is timed and
// weighed. `devices`: so many send telemetry every 10 s; the messages of `--hours` are sent as fast as
// the server reads them (`--rate` a second; it reads 3,000), while one reader follows the events. The dashboard is a
// process of its own, so its memory is its own.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { connectAsync } from 'mqtt';
import { request } from 'undici';
import { freePort } from './free-port.js';
import { documentsOf, idOf, telemetryOf } from './bench-dashboard/devices.js';

const { values: flags } = parseArgs({
  options: {
    devices: { type: 'string', default: '1000' },
    rows: { type: 'string', default: '10000' },
    hours: { type: 'string', default: '1' },
    rate: { type: 'string', default: '2500' },
    json: { type: 'boolean', default: false },
  },
});
const [deviceCount = 0, rowCount = 0, hours = 0, perSecond = 0] = [
  flags.devices,
  flags.rows,
  flags.hours,
  flags.rate,
].map(Number);

const main = join(dirname(import.meta.dirname), 'dist/agent/cli/main.js');
const folder = mkdtempSync(join(tmpdir(), 'edgefit-bench-dashboard-'));
const PASSWORD = 'bench-password';
const TIMES = 7;

/** @type {(() => unknown)[]} */
const undo = [() => rmSync(folder, { recursive: true, force: true })];

/** @param {number} pid @param {string} file @param {string} key kB, from /proc */
function procBytes(pid, file, key) {
  const text = readFileSync(`/proc/${pid}/${file}`, 'utf8');
  return Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(text)?.[1]) * 1024;
}

/** @param {string} url @param {string} cookie */
async function timeFleet(url, cookie) {
  const headers = { cookie, 'accept-encoding': 'br' };
  const times = [];
  let [bytes, rows] = [0, 0];
  for (let time = 0; time < TIMES; time += 1) {
    const start = performance.now();
    const { body } = await request(`${url}api/fleet`, { headers });
    bytes = (await body.arrayBuffer()).byteLength;
    times.push(performance.now() - start);
  }
  const { body } = await request(`${url}api/fleet`, { headers: { cookie } });
  const text = await body.text();
  rows = JSON.parse(text).devices.length;
  const sorted = times.toSorted((a, b) => a - b);
  return {
    rows,
    plainBytes: Buffer.byteLength(text),
    compressedBytes: bytes,
    firstMs: Math.round(times[0] ?? 0),
    medianMs: Math.round(sorted[Math.floor(TIMES / 2)] ?? 0),
  };
}

/** @param {string} url @param {string} cookie */
async function followEvents(url, cookie) {
  const { body } = await request(`${url}api/events`, { headers: { cookie } });
  const seen = { bytes: 0 };
  body.on('data', (chunk) => (seen.bytes += chunk.length));
  body.on('error', () => undefined);
  return seen;
}

try {
  const port = await freePort();
  const config = join(folder, 'mosquitto.conf');
  writeFileSync(config, `listener ${port} 127.0.0.1\nallow_anonymous true\nuser root\n`);
  const broker = spawn('mosquitto', ['-c', config], {
    stdio: 'ignore',
    env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` },
  });
  undo.unshift(() => broker.kill());
  await sleep(700);
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`);
  undo.unshift(() => client.end(true));
  for (let at = 0; at < rowCount; at += 1) {
    const sent = documentsOf(at).map(([topic, document]) =>
      client.publishAsync(topic, JSON.stringify(document), { qos: 1, retain: true }),
    );
    if (at % 100 === 0) await Promise.all(sent);
  }
  const users = ['dashboard', 'user', 'add', 'bench', '--role', 'viewer', '--state', folder];
  spawnSync(process.execPath, [main, ...users], { input: `${PASSWORD}\n` });
  const httpPort = await freePort();
  const url = `http://127.0.0.1:${httpPort}/`;
  const started = performance.now();
  const options = [
    '--mqtt',
    `mqtt://127.0.0.1:${port}`,
    '--listen',
    `${httpPort}`,
    '--state',
    folder,
  ];
  const child = spawn(process.execPath, [main, 'dashboard', ...options], { stdio: 'ignore' });
  undo.unshift(() => child.kill());
  const pid = child.pid ?? 0;
  const cookie = await login(url);
  const readSeconds = await untilComplete(url, cookie, started);
  const fleet = await timeFleet(url, cookie);
  const startBytes = procBytes(pid, 'smaps_rollup', 'Pss');
  const seen = await followEvents(url, cookie);
  const messages = Math.round(deviceCount * 360 * hours);
  const asked = askWhile(url, cookie);
  const streamSeconds = await sendTelemetry(client, messages);
  const slowestMs = await asked.stop();
  await sleep(3000);
  const result = {
    fleet: { ...fleet, readSeconds },
    hour: {
      devices: deviceCount,
      messages,
      seconds: Math.round(streamSeconds),
      slowestFleetMs: slowestMs,
      startPssBytes: startBytes,
      endPssBytes: procBytes(pid, 'smaps_rollup', 'Pss'),
      peakRssBytes: procBytes(pid, 'status', 'VmHWM'),
      eventBytesPerSecond: messages === 0 ? null : Math.round(seen.bytes / streamSeconds),
      historyBytes: folderBytes(join(folder, 'history')),
    },
  };
  console.log(flags.json ? JSON.stringify(result) : JSON.stringify(result, null, 2));
} finally {
  for (const one of undo) one();
}
process.exit();

/** @param {string} url */
async function login(url) {
  for (let tries = 0; tries < 100; tries += 1) {
    await sleep(100);
    const answer = await request(`${url}api/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user: 'bench', password: PASSWORD }),
    }).catch(() => null);
    if (answer === null) continue;
    await answer.body.dump();
    if (answer.statusCode === 200) return String(answer.headers['set-cookie']).split(';')[0] ?? '';
    throw new Error(`login: ${answer.statusCode}`);
  }
  throw new Error('the dashboard did not start');
}

/** @param {string} url @param {string} cookie @param {number} started */
async function untilComplete(url, cookie, started) {
  for (let tries = 0; tries < 600; tries += 1) {
    const { body } = await request(`${url}api/fleet`, { headers: { cookie } });
    const text = await body.text();
    if (text.endsWith('"complete":true}'))
      return Math.round((performance.now() - started) / 100) / 10;
    await sleep(200);
  }
  throw new Error('the fleet was not read');
}

/**
 * Asks for the fleet twice a second until it is stopped: the longest that an answer took.
 * @param {string} url @param {string} cookie
 */
function askWhile(url, cookie) {
  const over = new AbortController();
  const asking = (async () => {
    let slowestMs = 0;
    while (!over.signal.aborted) {
      const start = performance.now();
      const headers = { cookie, 'accept-encoding': 'br' };
      const { body } = await request(`${url}api/fleet`, { headers });
      await body.arrayBuffer();
      slowestMs = Math.max(slowestMs, performance.now() - start);
      await sleep(500);
    }
    return Math.round(slowestMs);
  })();
  return {
    stop: () => {
      over.abort();
      return asking;
    },
  };
}

/** @param {import('mqtt').MqttClient} client @param {number} messages */
async function sendTelemetry(client, messages) {
  const start = performance.now();
  const devices = Math.max(1, deviceCount);
  for (let sent = 0; sent < messages;) {
    const due = Math.min(messages, Math.ceil(((performance.now() - start) / 1000) * perSecond));
    for (; sent < due; sent += 1) {
      const at = sent % devices;
      const topic = `edgefit/v1/d/${idOf(at)}/up/tele/host`;
      client.publish(topic, telemetryOf(at, 1 + Math.floor(sent / devices)));
    }
    await sleep(20);
  }
  return (performance.now() - start) / 1000;
}

/** @param {string} path */
function folderBytes(path) {
  const { stdout } = spawnSync('du', ['-sb', path]);
  return Number(String(stdout).split('\t')[0]);
}
