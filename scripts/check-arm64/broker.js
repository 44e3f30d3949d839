// @ts-check
// A mosquitto of our own, and what arrives at it.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectAsync } from 'mqtt';
import { freePort } from '../free-port.js';
import { TETHER } from './run.js';

const PLACES = ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto', '/usr/bin/mosquitto'];
const ATTEMPTS = 50;
const PAUSE_MS = 100;

/**
 * @typedef {object} Broker
 * @property {string} url
 * @property {(topic: string) => Promise<unknown>} message the last document under that topic or
 *   below it, undefined when none comes
 * @property {() => Promise<void>} close
 */

/**
 * @param {string} folder for its configuration
 * @returns {Promise<Broker>}
 */
export async function startBroker(folder) {
  const program = PLACES.find((path) => existsSync(path));
  if (program === undefined) throw new Error('mosquitto is not installed: apt install mosquitto');
  const port = await freePort();
  const config = join(folder, 'mosquitto.conf');
  // Started by root it would become another user, who cannot read the configuration.
  const lines = [
    `user ${userInfo().username}`,
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
  ];
  await writeFile(config, `${lines.join('\n')}\n`);
  const [tether, ...words] = TETHER;
  const child = spawn(tether, [...words, program, '-c', config], { stdio: 'ignore' });
  const url = `mqtt://127.0.0.1:${port}`;
  try {
    const client = await connectPatiently(url);
    /** @type {Map<string, string>} */
    const arrived = new Map();
    client.on('message', (topic, payload) => arrived.set(topic, payload.toString('utf8')));
    await client.subscribeAsync('edgefit/v1/#', { qos: 1 });
    return {
      url,
      message: (topic) => waitFor(() => documentUnder(topic, arrived)),
      close: async () => {
        await client.endAsync(true);
        child.kill('SIGKILL');
      },
    };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

/**
 * @param {string} topic
 * @param {ReadonlyMap<string, string>} arrived
 * @returns {unknown}
 */
function documentUnder(topic, arrived) {
  const found = [...arrived].findLast(([name]) => `${name}/`.startsWith(`${topic}/`));
  return found === undefined ? undefined : JSON.parse(found[1]);
}

/**
 * Who published hears from the broker before we do, and may have ended by then.
 * @param {() => unknown} look
 * @param {number} [attempts]
 * @returns {Promise<unknown>}
 */
async function waitFor(look, attempts = ATTEMPTS) {
  const found = look();
  if (found !== undefined || attempts === 1) return found;
  await sleep(PAUSE_MS);
  return waitFor(look, attempts - 1);
}

/**
 * @param {string} url
 * @param {number} [attempts]
 * @returns {ReturnType<typeof connectAsync>}
 */
async function connectPatiently(url, attempts = ATTEMPTS) {
  try {
    return await connectAsync(url, { reconnectPeriod: 0 }, false);
  } catch (error) {
    if (attempts === 1) throw error;
    await sleep(PAUSE_MS);
    return connectPatiently(url, attempts - 1);
  }
}
