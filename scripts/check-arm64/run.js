// @ts-check
// Commands that have to succeed, several at a time.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Emulated code on a busy machine: what takes longer hangs. */
const TIMEOUT_MS = 10 * 60_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
const SHOWN_LINES = 12;

/** @type {readonly [string, ...string[]]} Put before a command, ends it with us, however we end. */
export const TETHER = ['setpriv', '--pdeathsig', 'KILL'];

/**
 * What a command printed. Throws with the end of its complaints when it fails.
 * @param {string} command
 * @param {readonly string[]} parameters
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<string>}
 */
export async function run(command, parameters, options = {}) {
  try {
    const { stdout } = await promisify(execFile)(
      TETHER[0],
      [...TETHER.slice(1), command, ...parameters],
      {
        ...options,
        encoding: 'utf8',
        maxBuffer: MAX_OUTPUT_BYTES,
        timeout: TIMEOUT_MS,
        killSignal: 'SIGKILL',
      },
    );
    return stdout;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const stderr = 'stderr' in error ? String(error.stderr) : '';
    const [what = ''] = error.message.split('\n');
    throw new Error([what, ...stderr.trim().split('\n').slice(-SHOWN_LINES)].join('\n'), {
      cause: error,
    });
  }
}
