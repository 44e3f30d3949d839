// @ts-check
// The real controller as a child process.
import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { TETHER } from '../check-arm64/run.js';
import { program } from './built.js';
import { cpuSeconds, peakRssBytes } from './proc.js';

/** @typedef {import('./fleet.js').Fleet} Fleet */

/**
 * @typedef {object} Controller
 * @property {() => number} peakRssBytes
 * @property {() => number} cpuSeconds
 * @property {() => string} complaint the last it said
 * @property {Promise<never>} failed rejects when it ends by itself
 * @property {() => Promise<void>} kill as a power cut does
 */

export const CONTROLLER_ID = 'ctl-1';
const COMPLAINT_CHARACTERS = 2000;

/** Its state folder stays between two starts. @param {Fleet} fleet @returns {Promise<Controller>} */
export async function startController({ folder, broker, site, atClose }) {
  const state = join(folder, 'controller');
  await mkdir(state, { recursive: true });
  const where = ['--mqtt', broker.url, '--repository', site.url, '--root', site.rootFile];
  const own = ['--id', CONTROLLER_ID, '--key', site.controller.file, '--state', state];
  const [tether, ...words] = TETHER;
  const command = [process.execPath, program, 'fleet', 'controller', ...where, ...own];
  const child = spawn(tether, [...words, ...command], {
    env: { ...process.env, EDGEFIT_PASSPHRASE: site.passphrase },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  atClose(() => child.kill('SIGKILL'));
  let complaint = '';
  child.stderr.on('data', (data) => {
    complaint = (complaint + String(data)).slice(-COMPLAINT_CHARACTERS);
  });
  let isWanted = true;
  const exited = new Promise((resolve) => {
    child.once('exit', resolve);
  });
  /** @type {Promise<never>} */
  const failed = exited.then(() => {
    if (isWanted) throw new Error(`the controller ended: ${complaint.trim()}`);
    return new Promise(() => undefined);
  });
  failed.catch(() => undefined);
  return {
    peakRssBytes: () => peakRssBytes(child.pid),
    cpuSeconds: () => cpuSeconds(child.pid),
    complaint: () => complaint,
    failed,
    kill: async () => {
      isWanted = false;
      child.kill('SIGKILL');
      await exited;
    },
  };
}
