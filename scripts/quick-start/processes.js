// @ts-check
// Programs that run in the background, and those that are waited for.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const RUN_MS = 300_000;
const STOP_MS = 6000;

/**
 * Runs a program to its end.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {Record<string, string | undefined>} env
 */
export async function finish(program, args, env = process.env) {
  return run(program, [...args], { env, timeout: RUN_MS });
}

/** Everything that was started, stopped in reverse. */
export class Processes {
  /** @type {{ name: string, child: import('node:child_process').ChildProcess }[]} */
  #running = [];

  /**
   * Starts a program whose output goes to a file. Throws when it ends at once.
   * @param {string} name
   * @param {readonly string[]} command
   * @param {string} log
   * @param {Record<string, string | undefined>} env
   */
  async start(name, [program = '', ...args], log, env = process.env) {
    const file = createWriteStream(log, { flags: 'a' });
    // A group of its own: Ctrl-C reaches us alone, and we stop the others in order.
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    child.stdout?.pipe(file, { end: false });
    child.stderr?.pipe(file, { end: false });
    this.#running.push({ name, child });
    const early = await Promise.race([
      once(child, 'exit').then(([code]) => `ended with ${String(code)}`),
      once(child, 'error').then(([error]) => String(error)),
      sleep(300),
    ]);
    if (typeof early === 'string') throw new Error(`${name} ${early}: see ${log}`);
    return child;
  }

  async stop() {
    for (const { child } of this.#running.splice(0).toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      // oxlint-disable-next-line no-await-in-loop -- what needs others goes first
      const isGone = await Promise.race([gone.then(() => true), sleep(STOP_MS, false)]);
      if (!isGone) child.kill('SIGKILL');
    }
  }
}

/**
 * Waits until somebody listens.
 * @param {number} port
 * @param {string} what
 */
export async function untilListening(port, what) {
  await until(what, () => {
    const socket = connect(port, '127.0.0.1');
    return Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).finally(() => socket.destroy());
  });
}

/**
 * Waits until `check` says yes.
 * @param {string} what
 * @param {() => Promise<boolean>} check
 */
export async function until(what, check, timeoutMs = 60_000) {
  const deadline = Date.now() + timeoutMs;
  while (Date.now() < deadline) {
    // oxlint-disable-next-line no-await-in-loop -- polling
    if (await check().catch(() => false)) return;
    // oxlint-disable-next-line no-await-in-loop -- polling
    await sleep(200);
  }
  throw new Error(`waited in vain for ${what}`);
}
