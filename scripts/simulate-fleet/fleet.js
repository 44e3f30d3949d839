// @ts-check
// Broker, repository and devices, started in this order and stopped together.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { startBroker } from './broker.js';
import { makeTemplates } from './enrol.js';
import { openPool } from './pool.js';
import { planDevices } from './plan.js';
import { issueJobs } from './serve.js';
import { openSite } from './site.js';

/** @typedef {import('./options.js').Options} Options */
/** @typedef {Awaited<ReturnType<typeof openFleet>>} Fleet */

/** Descriptors that a broker needs beside one for each device. */
const SPARE_FILES = 200;
const START_LIMIT_MS = 900_000;
const LOOK_MS = 500;

/** @param {string} folder @param {Options} options */
export async function openFleet(folder, options) {
  checkFiles(options.devices);
  const devices = planDevices(options);
  const site = await openSite(folder);
  const broker = await startBroker({ folder, port: options.mqttPort, limits: options.limits });
  say(`broker ${broker.url}, repository ${site.url}`);
  await makeTemplates(folder, site, [...new Set(devices.map(({ model }) => model))]);
  const pool = openPool({
    folder,
    brokerPort: broker.port,
    repository: site.url,
    mirror: site.mirror,
    seed: options.seed,
    workMs: options.workSeconds * 1000,
    devices,
  });
  const untilOnline = async () => {
    await Promise.race([pool.opened, pool.failed]);
    await until(() => pool.tally().online === devices.length, 'every device is online', pool);
    say(`${devices.length} devices are online`);
  };
  /** @type {(() => void)[]} */
  const ends = [];
  return {
    folder,
    devices,
    site,
    broker,
    pool,
    untilOnline,
    /** @param {Promise<void>} stopped */
    serve: async (stopped) => {
      const about = {
        broker: broker.url,
        devices: devices.length,
        repository: site.url,
        operatorKey: site.operator.file,
        passphrase: site.passphrase,
      };
      process.stdout.write(`${JSON.stringify(about)}\n`);
      const busy = untilOnline().then(async () => {
        pool.startTelemetry(options.telemetrySeconds);
        say(`${await issueJobs(broker.url, site, devices)} jobs are issued`);
      });
      await Promise.race([stopped, pool.failed, busy.then(() => stopped)]);
      return 0;
    },
    /** What is to end with the fleet, too. @param {() => void} end */
    atClose: (end) => void ends.push(end),
    close: async () => {
      for (const end of ends) end();
      pool.stop();
      broker.stop();
      await site.close();
    },
  };
}

/** A broker has a descriptor open for each device. @param {number} devices */
function checkFiles(devices) {
  const [, hard = ''] =
    /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
  if (hard === 'unlimited' || Number(hard) >= devices + SPARE_FILES) return;
  throw new Error(
    `${devices} devices need ${devices + SPARE_FILES} open files and this shell allows ${hard}: raise it with ulimit -n, as root, or in the limits of the service`,
  );
}

/** @param {string} line */
export function say(line) {
  process.stderr.write(`${line}\n`);
}

/**
 * @param {() => boolean} holds
 * @param {string} what
 * @param {import('./pool.js').Pool} pool
 * @param {number} [limitMs]
 */
async function until(holds, what, pool, limitMs = START_LIMIT_MS) {
  const deadline = performance.now() + limitMs;
  while (!holds()) {
    if (performance.now() > deadline) {
      throw new Error(`not in time: ${what}; it stands at ${JSON.stringify(pool.tally())}`);
    }
    // oxlint-disable-next-line no-await-in-loop -- polling with a deadline
    await Promise.race([sleep(LOOK_MS), pool.failed]);
  }
}
