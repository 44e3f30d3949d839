// @ts-check
// A mosquitto of our own, with the limits it comes with or with raised ones.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectAsync } from 'mqtt';
import { freePort } from '../free-port.js';
import { TETHER } from '../check-arm64/run.js';
import { peakRssBytes } from './proc.js';

const PLACES = ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto', '/usr/bin/mosquitto'];
const ATTEMPTS = 100;
const PAUSE_MS = 100;

/**
 * What docs/scale.md recommends for large fleets; by default mosquitto keeps 1,000 messages for a client
 * and has 20 on their way.
 */
const RAISED = ['max_queued_messages 0', 'max_inflight_messages 1000'];

/**
 * @typedef {object} Broker
 * @property {string} url
 * @property {number} port
 * @property {() => number} peakRssBytes
 * @property {() => void} stop
 */

/**
 * @param {{ folder: string, port?: number | undefined, limits: 'default' | 'raised' }} options
 * @returns {Promise<Broker>}
 */
export async function startBroker({ folder, port: wanted, limits }) {
  const program = PLACES.find((path) => existsSync(path));
  if (program === undefined) throw new Error('mosquitto is not installed: apt install mosquitto');
  const port = wanted ?? (await freePort());
  const config = join(folder, 'mosquitto.conf');
  const lines = [
    // Started by root it would become another user, who cannot read the configuration.
    `user ${userInfo().username}`,
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
    // How often it counts its messages; no limit.
    'sys_interval 1',
    ...(limits === 'raised' ? RAISED : []),
  ];
  await writeFile(config, `${lines.join('\n')}\n`);
  const [tether, ...words] = TETHER;
  const child = spawn(tether, [...words, program, '-c', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let complaint = '';
  child.stderr.on('data', (data) => (complaint = (complaint + String(data)).slice(-2000)));
  const url = `mqtt://127.0.0.1:${port}`;
  const stop = () => {
    child.kill('SIGKILL');
  };
  try {
    await untilItAnswers(url, () => child.exitCode !== null);
  } catch {
    stop();
    throw new Error(`mosquitto did not start on port ${port}: ${lastLine(complaint)}`);
  }
  return { url, port, peakRssBytes: () => peakRssBytes(child.pid), stop };
}

/** @param {string} text */
function lastLine(text) {
  return text.trim().split('\n').at(-1) || 'is the port free?';
}

/** @param {string} url @param {() => boolean} isOver */
async function untilItAnswers(url, isOver) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- until it listens
      const client = await connectAsync(url, { reconnectPeriod: 0 }, false);
      // oxlint-disable-next-line no-await-in-loop -- once
      await client.endAsync(true);
      return;
    } catch (error) {
      if (attempt === ATTEMPTS || isOver()) throw error;
      // oxlint-disable-next-line no-await-in-loop -- see above
      await sleep(PAUSE_MS);
    }
  }
}
