// @ts-check
// Some hundreds of devices in one process. The parent says which, and is told how they fare.
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chance } from './chance.js';
import { openSimulated } from './device.js';
import { templateOf } from './enrol.js';
import { machineOf } from './machines.js';
import { must } from './must.js';
import { openRelay } from './relay.js';
import { NEW } from './site.js';
import { nextTelemetry, startWalk } from './telemetry.js';

/** @typedef {import('./device.js').Simulated} Simulated */

/**
 * @typedef {object} Task what a worker is to do
 * @property {string} folder
 * @property {number} brokerPort
 * @property {string} repository
 * @property {string} mirror
 * @property {string} seed
 * @property {number} workMs about as long as fitting takes
 * @property {readonly PlannedDevice[]} devices
 */

/**
 * @typedef {object} PlannedDevice
 * @property {string} id
 * @property {string} model that it has when the simulation begins
 * @property {boolean} fails
 * @property {'disconnect' | 'restart' | null} mishap that comes over it in the middle of its job
 */

/**
 * @typedef {object} Tally how the devices of a worker fare
 * @property {number} opened
 * @property {number} online
 * @property {number} connects
 * @property {number} disconnected in the middle of a job, by us
 * @property {number} restarted
 * @property {number} rssBytes
 * @property {Readonly<Record<string, number>>} warnings by what was said
 */

/** Devices that start at the same time. */
const STARTING = 24;
const REPORT_MS = 500;
/** Slices of the telemetry period: devices do not all speak at once. */
const SLICES = 100;
/** How long a device that was pulled down stays away. */
const AWAY_MS = 1500;
const BENCH_SHARE = 0.05;

/** @param {Task} task */
function openCrowd(task) {
  /** @type {Map<string, Simulated>} */
  const crowd = new Map();
  /** @type {Map<string, number>} */
  const warnings = new Map();
  const done = { disconnected: 0, restarted: 0, connectsBefore: 0 };

  /** @param {PlannedDevice} planned @param {number} port @param {(step: string) => void} onStep */
  const open = async ({ id, fails }, port, onStep) => {
    const simulated = await openSimulated({
      id,
      machine: machineOf(id),
      state: join(task.folder, 'devices', id),
      url: `mqtt://127.0.0.1:${port}`,
      repository: task.repository,
      mirror: task.mirror,
      workMs: task.workMs,
      failure: (step, version) =>
        fails && version === NEW ? failureIn(step, id, task.seed) : null,
      onStep,
      onWarning: (what) => warnings.set(what, (warnings.get(what) ?? 0) + 1),
    });
    crowd.set(id, simulated);
    return simulated;
  };

  /** @param {PlannedDevice} planned */
  const add = async (planned) => {
    const { id, model, mishap } = planned;
    const source = templateOf(task.folder, machineOf(id).id, model);
    await cp(source, join(task.folder, 'devices', id), { recursive: true, verbatimSymlinks: true });
    if (mishap === null) await open(planned, task.brokerPort, () => undefined);
    else await addUnlucky(planned);
  };

  /** @param {PlannedDevice} planned */
  const addUnlucky = async (planned) => {
    const { id, mishap } = planned;
    const relay = await openRelay(task.brokerPort);
    const moment = momentFor(id, task.seed);
    let isOver = false;
    const onStep = (/** @type {string} */ step) => {
      if (isOver || step !== moment) return;
      isOver = true;
      if (mishap === 'restart') void restart().catch(fail);
      else {
        relay.cut();
        done.disconnected += 1;
      }
    };
    /** As a crash: no goodbye, and nothing but the folder is left. */
    const restart = async () => {
      const simulated = crowd.get(id);
      if (simulated === undefined) return;
      relay.cut();
      const { session } = simulated.device;
      while (session.online()) {
        // oxlint-disable-next-line no-await-in-loop -- until it is noticed
        await sleep(5);
      }
      done.connectsBefore += session.connects();
      await simulated.stop();
      await sleep(AWAY_MS);
      await open(planned, relay.port, onStep);
      done.restarted += 1;
    };
    await open(planned, relay.port, onStep);
  };

  return {
    crowd,
    fill: async () => {
      const waiting = [...task.devices];
      await Promise.all(
        Array.from({ length: STARTING }, async () => {
          for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
            // oxlint-disable-next-line no-await-in-loop -- a bounded number at a time
            await add(next);
          }
        }),
      );
    },
    /** @returns {Tally} */
    tally: () => {
      const sessions = [...crowd.values()].map(({ device }) => device.session);
      return {
        opened: crowd.size,
        online: sessions.filter((session) => session.online()).length,
        connects: done.connectsBefore + sum(sessions.map((session) => session.connects())),
        disconnected: done.disconnected,
        restarted: done.restarted,
        rssBytes: process.memoryUsage.rss(),
        warnings: Object.fromEntries(warnings),
      };
    },
  };
}

/** @param {readonly number[]} numbers */
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

/** Half of the failures show while fitting, half once the model runs. @param {string} step @param {string} id @param {string} seed */
function failureIn(step, id, seed) {
  const place = chance(seed, id, 'failure') < 0.5 ? 'fit' : 'bench';
  if (step !== place) return null;
  return place === 'fit'
    ? 'no candidate keeps to the limits: p90 is 9.1 ms, above 5'
    : 'the model cannot be loaded: invalid graph';
}

/** In which step of a job a mishap comes. @param {string} id @param {string} seed */
function momentFor(id, seed) {
  const moments = /** @type {const} */ (['download', 'fit', 'bench']);
  return moments[Math.floor(chance(seed, id, 'moment') * moments.length)] ?? 'fit';
}

/** Sends telemetry and now and then a report. @param {ReadonlyMap<string, Simulated>} crowd @param {number} periodSeconds */
function startTelemetry(crowd, periodSeconds) {
  const walks = [...crowd.values()].map((simulated) => ({
    simulated,
    walk: startWalk(simulated.id),
  }));
  let slice = 0;
  setInterval(
    () => {
      slice = (slice + 1) % SLICES;
      for (let at = slice; at < walks.length; at += SLICES) {
        const { simulated, walk } = must(walks[at], 'a walk');
        for (const message of nextTelemetry(simulated, walk)) {
          void simulated.device.session.publish(message);
        }
        if (walk.seq === 1 || Math.random() < BENCH_SHARE) {
          void simulated.tellBench(simulated.report());
        }
      }
    },
    (periodSeconds * 1000) / SLICES,
  );
}

/** @param {unknown} error */
function fail(error) {
  process.send?.({ type: 'error', text: error instanceof Error ? error.message : String(error) });
}

/** @type {ReturnType<typeof openCrowd> | null} */
let open = null;

process.on('message', (/** @type {any} */ message) => {
  if (message.type === 'open') {
    const made = openCrowd(message.task);
    open = made;
    setInterval(() => process.send?.({ type: 'tally', tally: made.tally() }), REPORT_MS);
    made.fill().then(() => process.send?.({ type: 'opened' }), fail);
  }
  if (message.type === 'telemetry' && open !== null) startTelemetry(open.crowd, message.seconds);
  if (message.type === 'stop') process.exit(0);
});
// A parent that is gone needs no devices.
process.on('disconnect', () => process.exit(0));
