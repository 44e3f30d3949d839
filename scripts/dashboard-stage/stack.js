// @ts-check
// A simulated fleet, the real controller and the real dashboard: for the browser tests, the screenshots
// and the figures of the page.
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main, startNode } from './children.js';

/** @typedef {import('./children.js').Running} Running */

/**
 * What `scripts/simulate-fleet.js --serve` says of itself.
 * @typedef {object} FleetInfo
 * @property {string} broker
 * @property {number} devices
 * @property {string} repository
 * @property {string} operatorKey
 * @property {string} passphrase
 */

/**
 * @typedef {object} SimulatedFleet
 * @property {FleetInfo} info
 * @property {string} folder
 * @property {() => Promise<void>} stop
 */

/**
 * @typedef {object} Dashboard
 * @property {string} url
 * @property {Running} running
 * @property {() => Promise<void>} stop
 */

const START_MS = 60_000;
/** A fleet of thousands connects at some hundred devices in a second. */
const START_DEVICE_MS = 30;

export const USERS = {
  viewer: { name: 'vera', password: 'only looks at it' },
  operator: { name: 'otto', password: 'may do something' },
};

/**
 * Simulated devices at a mosquitto of their own.
 * @param {number} devices
 * @param {readonly string[]} [more] options of scripts/simulate-fleet.js
 * @returns {Promise<SimulatedFleet>}
 */
export async function startFleet(devices, more = []) {
  const folder = await mkdtemp(join(tmpdir(), 'edgefit-stage-fleet-'));
  const args = ['scripts/simulate-fleet.js', '--serve', '--devices', String(devices)];
  const running = await startNode({
    args: [...args, '--folder', folder, '--keep', ...more],
    waitFor: /^\{.*\}$/m,
    withinMs: START_MS + devices * START_DEVICE_MS,
  });
  return {
    info: JSON.parse(running.found[0]),
    folder,
    stop: async () => {
      await running.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The controller of a simulated fleet, once it leads. @param {SimulatedFleet} fleet */
export async function startController({ info, folder }) {
  const args = ['fleet', 'controller', '--id', 'ctl-1', '--mqtt', info.broker].concat(
    ['--repository', info.repository],
    ['--root', join(folder, 'repository/metadata/1.root.json')],
    ['--key', join(folder, 'keys/controller.json')],
    ['--state', join(folder, 'controller')],
  );
  return startNode({
    args: [main, ...args],
    env: { EDGEFIT_PASSPHRASE: info.passphrase },
    waitFor: /"leads"/,
    withinMs: START_MS,
  });
}

/** @param {string} state @param {'viewer' | 'operator'} role */
async function addUser(state, role) {
  const { name, password } = USERS[role];
  const passwordFile = join(state, `${name}.txt`);
  await writeFile(passwordFile, password, { mode: 0o600 });
  const args = ['dashboard', 'user', 'add', name, '--role', role, '--state', state];
  const done = spawnSync(process.execPath, [main, ...args, '--password-file', passwordFile], {
    encoding: 'utf8',
  });
  if (done.status !== 0) throw new Error(`agent dashboard user add: ${done.stderr}`);
}

/** Adds both users to the state folder of a dashboard. @param {string} state */
export async function addUsers(state) {
  await addUser(state, 'viewer');
  await addUser(state, 'operator');
}

/**
 * The real `agent dashboard` with a viewer and an operator; without a key, nobody can act.
 * @param {object} options
 * @param {string} options.broker
 * @param {{ readonly file: string, readonly passphrase: string }} [options.key]
 * @param {number} [options.port]
 * @param {string} [options.folder] state that is kept, with users; else a new one is made
 * @returns {Promise<Dashboard>}
 */
export async function startDashboard({ broker, key, port = 0, folder }) {
  const state = folder ?? (await mkdtemp(join(tmpdir(), 'edgefit-stage-dashboard-')));
  if (folder === undefined) await addUsers(state);
  const args = ['dashboard', '--mqtt', broker, '--listen', `127.0.0.1:${port}`, '--state', state];
  const running = await startNode({
    args: [main, ...args, ...(key === undefined ? [] : ['--key', key.file])],
    env: key === undefined ? {} : { EDGEFIT_PASSPHRASE: key.passphrase },
    waitFor: /the dashboard is at (http:\S+)/,
    withinMs: START_MS,
  });
  return {
    url: running.found[1] ?? '',
    running,
    stop: async () => {
      await running.stop();
      if (folder === undefined) await rm(state, { recursive: true, force: true });
    },
  };
}
