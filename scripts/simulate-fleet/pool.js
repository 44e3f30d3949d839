// @ts-check
// The worker processes that the devices are spread over.
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

/** @typedef {import('./worker.js').Task} Task */
/** @typedef {import('./worker.js').Tally} Tally */

/** Devices for which a process of its own is worth it. */
const DEVICES_PER_WORKER = 2500;
/** Journals are synced by these; four, the default, would wait for each other's disk. */
const DISK_THREADS = '16';

/**
 * @typedef {object} Pool
 * @property {Promise<void>} opened when every device was started
 * @property {() => Tally} tally
 * @property {(seconds: number) => void} startTelemetry
 * @property {Promise<never>} failed rejects when a worker has failed
 * @property {() => void} stop
 */

/** @param {Task} task @returns {Pool} */
export function openPool(task) {
  const count = task.devices.length;
  const wanted = Math.max(
    Math.ceil(count / DEVICES_PER_WORKER),
    Math.min(2, availableParallelism()),
  );
  const workers = Math.min(wanted, count);
  const parts = Array.from({ length: workers }, (_, part) =>
    startWorker({ ...task, devices: task.devices.filter((_device, at) => at % workers === part) }),
  );
  const failed = Promise.race(parts.map((part) => part.failed));
  failed.catch(() => undefined);
  return {
    opened: Promise.all(parts.map((part) => part.opened)).then(() => undefined),
    tally: () => parts.map((part) => part.tally()).reduce(added),
    startTelemetry: (seconds) => {
      for (const { child } of parts) child.send({ type: 'telemetry', seconds });
    },
    failed,
    stop: () => {
      for (const { child } of parts) child.kill('SIGKILL');
    },
  };
}

/** @type {Tally} */
const NOTHING = {
  opened: 0,
  online: 0,
  connects: 0,
  disconnected: 0,
  restarted: 0,
  rssBytes: 0,
  warnings: {},
};

/** @param {Task} task */
function startWorker(task) {
  const child = fork(join(import.meta.dirname, 'worker.js'), {
    env: { ...process.env, UV_THREADPOOL_SIZE: DISK_THREADS },
    // Nothing but the result may be on stdout.
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  let tally = NOTHING;
  /** @type {Promise<never>} */
  const failed = new Promise((_, reject) => {
    child.on('message', (/** @type {any} */ { type, text }) => {
      if (type === 'error') reject(new Error(`a simulated device failed: ${text}`));
    });
    child.on('exit', (code, signal) => {
      reject(new Error(`a worker ended: ${signal ?? `exit code ${code}`}`));
    });
  });
  const opened = new Promise((resolve) => {
    child.on('message', (/** @type {any} */ message) => {
      if (message.type === 'tally') tally = message.tally;
      if (message.type === 'opened') resolve(undefined);
    });
  });
  child.send({ type: 'open', task });
  failed.catch(() => undefined);
  return { child, opened, failed, tally: () => tally };
}

/** @param {Tally} a @param {Tally} b @returns {Tally} */
function added(a, b) {
  const warnings = { ...a.warnings };
  for (const [what, count] of Object.entries(b.warnings)) {
    warnings[what] = (warnings[what] ?? 0) + count;
  }
  return {
    opened: a.opened + b.opened,
    online: a.online + b.online,
    connects: a.connects + b.connects,
    disconnected: a.disconnected + b.disconnected,
    restarted: a.restarted + b.restarted,
    rssBytes: a.rssBytes + b.rssBytes,
    warnings,
  };
}
