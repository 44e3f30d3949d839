// @ts-check
// Programs of ours as child processes.
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';

export const root = dirname(dirname(import.meta.dirname));
export const main = join(root, 'dist/agent/cli/main.js');

/** One that does not listen to SIGTERM shall not outlive whoever started it. */
const PATIENCE_MS = 10_000;
const COMPLAINT_CHARACTERS = 2000;

/**
 * @typedef {object} Running
 * @property {import('node:child_process').ChildProcess} child
 * @property {RegExpExecArray} found what the awaited line matched
 * @property {() => Promise<void>} stop
 */

/** @param {import('node:child_process').ChildProcess} child @param {NodeJS.Signals} [signal] */
async function stop(child, signal = 'SIGTERM') {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => {
    child.once('exit', done);
  });
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  await ended;
  clearTimeout(timer);
}

/**
 * A child of Node.js, once stdout or stderr has said what is waited for.
 * @param {{ args: readonly string[], env?: Record<string, string>, waitFor: RegExp, withinMs: number }} start
 * @returns {Promise<Running>}
 */
export async function startNode({ args, env = {}, waitFor, withinMs }) {
  const child = spawn(process.execPath, [...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = { out: '', complaint: '' };
  const found = new Promise((/** @type {(found: RegExpExecArray) => void} */ done, fail) => {
    const giveUp = (/** @type {string} */ why) =>
      fail(new Error(`${args.join(' ')}: ${why}: ${said.complaint}`));
    const timer = setTimeout(() => giveUp('did not start in time'), withinMs);
    const look = () => {
      const match = waitFor.exec(said.out) ?? waitFor.exec(said.complaint);
      if (match === null) return;
      clearTimeout(timer);
      done(match);
    };
    child.stdout.on('data', (data) => {
      said.out = (said.out + String(data)).slice(-COMPLAINT_CHARACTERS);
      look();
    });
    child.stderr.on('data', (data) => {
      said.complaint = (said.complaint + String(data)).slice(-COMPLAINT_CHARACTERS);
      look();
    });
    child.once('exit', () => {
      clearTimeout(timer);
      giveUp('ended');
    });
  });
  try {
    return { child, found: await found, stop: () => stop(child) };
  } catch (error) {
    await stop(child, 'SIGKILL');
    throw error;
  }
}
