// @ts-check
// Stands in for the dashboard's server: an hour of changes for every view of the page, each second of it
// one event, played as fast as it is told.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { root } from '../dashboard-stage/children.js';
import { MACHINES } from '../simulate-fleet/machines.js';
import { MODELS, reportOf } from '../simulate-fleet/reports.js';
import { must } from '../simulate-fleet/must.js';

/** @typedef {import('node:http').ServerResponse} ServerResponse */
/** @typedef {(url: URL, path: readonly string[]) => object} Answer */

const HOUR_SECONDS = 3600;
/** Of a device, as the server keeps them. */
const BENCHES = 20;
const JOBS = 100;
/** Seconds between two changes of jobs and reports. */
const [JOB_SECONDS, BENCH_SECONDS] = [5, 60];
const STEP_MS = 2500;

export const ROLLOUT = 'played-rollout';
/** @param {number} index */
export const deviceId = (index) => `device-${String(index).padStart(5, '0')}`;
/** @param {number} index */
export const benchId = (index) => `bench-${index % BENCHES}`;

const now = Date.now();
/** @param {number} seconds */
const timeAt = (seconds) => new Date(now + seconds * 1000).toISOString();

/** @param {number} index @param {number} second */
function rowAt(index, second) {
  return {
    deviceId: deviceId(index),
    state: 'online',
    lastSeenMs: now + second * 1000,
    class: `class-${index % 7}`,
    board: null,
    tags: ['site-a'],
    agent: '0.1.0',
    model: { name: 'kws', version: '2', precision: 'int8', digest: 'd', releaseCounter: 2 },
    p90Ms: 10 + (index % 30),
    accuracy: { metric: 'top1', value: 0.9 },
    celsius: 50 + ((second + index) % 20),
    throttled: false,
    job: null,
    cloned: false,
  };
}

/** @param {number} index */
function report(index) {
  const machine = must(MACHINES[index % MACHINES.length], 'a machine');
  const luck = (index % 10) / 10;
  return reportOf(machine, must(MODELS[0], 'a model'), { luck, sha256: 'd'.repeat(64) });
}

/** @param {string} device @param {number} index */
function benchLine(device, index) {
  const model = { name: 'kws', sha256: 'd'.repeat(64), format: 'onnx' };
  const chosen = { id: 'onnxruntime/fp32/t4', precision: 'int8', p90Ms: 1 };
  return { deviceId: device, benchId: benchId(index), ts: timeAt(0), model, chosen, candidates: 4 };
}

/** @param {string} device @param {number} second */
function jobAt(device, second) {
  return {
    schema: 'edgefit/job/1',
    deviceId: device,
    jobId: `job-${second % JOBS}`,
    jobType: 'bench',
    rolloutId: null,
    digest: null,
    seq: second + 1,
    attempt: 1,
    ts: timeAt(second),
    mono: 1000 * second,
    bootId: null,
    status: 'SUCCEEDED',
    phase: 'committing',
    phases: { accepted: 10, fitting: 1000 + second, committing: 30 },
    progress: null,
    outcome: 'no_state_change',
    reason: null,
    result: { lines: Array.from({ length: 20 }, (_, line) => `line ${line} of ${second}`) },
  };
}

/** @param {number} second */
function rolloutAt(second) {
  const ended = { succeeded: second, failed: 3, rejected: 1, canceled: 0, rolledBack: 0 };
  const counts = { targets: 64 + second, pending: 50, open: 10, ...ended };
  const spec = {
    model: { name: 'kws', version: '2' },
    where: '',
    waves: [100],
    canaryPerClass: 0,
    soakSeconds: 60,
    maxFailed: { percent: 5, count: 10 },
    onFailed: 'pause',
  };
  const failures = Array.from({ length: 10 }, (_, index) => ({
    code: `code_${index}`,
    class: `class-${index % 7}`,
    devices: 1 + index,
    examples: [deviceId(index)],
    text: `it failed in second ${second}`,
  }));
  return {
    schema: 'edgefit/rollout/1',
    rolloutId: ROLLOUT,
    rev: second + 1,
    epoch: 1,
    state: 'running',
    spec,
    createdAt: timeAt(0),
    createdBy: 'otto',
    startedAt: timeAt(0),
    endedAt: null,
    ts: timeAt(second),
    reason: null,
    wave: 0,
    waves: [],
    counts,
    offline: 0,
    left: [],
    failures,
  };
}

/** @param {URL} url */
function historyOf({ searchParams }) {
  const [from, to] = [Number(searchParams.get('from')), Number(searchParams.get('to'))];
  const times = Array.from({ length: 360 }, (_, at) => from + at * STEP_MS);
  const metrics = (searchParams.get('metrics') ?? '').split(',');
  const series = metrics.map((name) => [name, times.map((ts) => [ts, 1, 1, 1])]);
  return { from, to, stepMs: STEP_MS, series: Object.fromEntries(series) };
}

function comparison() {
  const sides = [0, 1].map((index) => ({
    ...benchLine(deviceId(index), index),
    report: report(index),
  }));
  return { left: sides[0], right: sides[1], rows: [] };
}

/** @param {number} devices @returns {Record<string, Answer>} by the first word of the path */
function answersOf(devices) {
  const broker = { connected: true, since: timeAt(0), url: 'mqtt://a', reason: null };
  const session = { user: 'vera', role: 'viewer', csrf: 'x', version: '0', readOnly: null };
  const rows = Array.from({ length: devices }, (_, index) => rowAt(index, 0));
  const lines = Array.from({ length: devices }, (_, index) => benchLine(deviceId(index), 0));
  /** @param {string} device */
  const deviceAnswer = (device) => ({
    row: rows.find((row) => row.deviceId === device),
    birth: null,
    twin: null,
    jobs: Array.from({ length: JOBS }, (_, second) => jobAt(device, second)),
    benches: Array.from({ length: BENCHES }, (_, index) => benchLine(device, index)),
    decisions: [],
    latest: { socCelsius: { value: 50, ts: now }, cpuRatio: { value: 0.5, ts: now } },
  });
  return {
    session: () => ({ ...session, login: 'password', now: Date.now() }),
    fleet: () => ({ devices: rows, broker, controllers: [], complete: true }),
    devices: (url, [, , device = '', part]) =>
      part === 'history' ? historyOf(url) : deviceAnswer(device),
    rollouts: (_url, path) =>
      path.length > 2 ? { rollout: rolloutAt(0) } : { rollouts: [rolloutAt(0)] },
    benches: (_url, path) => (path.length > 2 ? report(0) : { benches: lines, next: null }),
    compare: comparison,
    models: () => ({ models: [{ name: 'kws', versions: ['1', '2'].map(unpublished) }] }),
  };
}

/** @param {string} version */
const unpublished = (version) => ({
  version,
  releaseCounter: null,
  manifestSha256: null,
  devices: 1,
});

/** @param {ServerResponse} response @param {string} name @param {object} data */
const send = (response, name, data) =>
  response.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);

/** @param {ServerResponse} response @param {number} devices @param {number} second */
function fleetSecond(response, devices, second) {
  const part = Math.ceil(devices / 10);
  const from = (second * part) % devices;
  const count = Math.min(part, devices - from);
  const changed = Array.from({ length: count }, (_, at) => rowAt(from + at, second));
  send(response, 'devices', { changed, gone: [] });
  send(response, 'rollout', { rollout: rolloutAt(second) });
}

/** @param {ServerResponse} response @param {string} device @param {number} second */
function deviceSecond(response, device, second) {
  const values = { socCelsius: 50 + (second % 20), cpuRatio: (second % 10) / 10, p90Ms: 3 };
  send(response, 'telemetry', { deviceId: device, stream: 'host', ts: Date.now(), values });
  if (second % JOB_SECONDS === 0) send(response, 'job', { job: jobAt(device, second) });
  if (second % BENCH_SECONDS === 0) send(response, 'bench', { bench: benchLine(device, second) });
}

/** @param {string} name */
const typeOf = (name) =>
  name.endsWith('.js') ? 'text/javascript' : name.endsWith('.css') ? 'text/css' : 'text/html';

/** @param {number} devices @param {number} perSecond events in a second */
export function playedServer(devices, perSecond) {
  const answers = answersOf(devices);
  const page = join(root, 'dist/dashboard');
  let played = 0;
  /** @param {ServerResponse} response @param {string | null} device */
  const play = (response, device) => {
    const timer = setInterval(() => {
      if (played >= HOUR_SECONDS) return;
      if (device !== null) deviceSecond(response, device, played);
      else fleetSecond(response, devices, (played += 1));
    }, 1000 / perSecond);
    response.once('close', () => clearInterval(timer));
  };
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const path = url.pathname.split('/').filter(Boolean);
    const answer = path[0] === 'api' ? answers[path[1] ?? ''] : undefined;
    if (url.pathname === '/api/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      play(response, url.searchParams.get('device'));
    } else if (answer !== undefined) {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(answer(url, path)));
    } else {
      const name = url.pathname === '/' ? 'index.html' : url.pathname;
      response.setHeader('content-type', typeOf(name));
      response.end(readFileSync(join(page, name)));
    }
  });
  return { server, isOver: () => played >= HOUR_SECONDS, played: () => played };
}
