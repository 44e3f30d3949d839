// @ts-check
// Runs in a child process: several files of one model, timed in turn, so that whatever else the machine
// does hits all of them alike.
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const built = join(dirname(dirname(import.meta.dirname)), 'dist/agent');
/** @param {string} name */
const load = (name) => import(join(built, `${name}.js`));

/** @type {typeof import('../../agent/runtime/open-file.ts')} */
const { openFile } = await load('runtime/open-file');
/** @type {typeof import('../../agent/bench/latency.ts')} */
const { SPIN_DOWN_MS } = await load('bench/latency');

const WARM_UPS = 5;
const MIN_ROUNDS = 20;
/** On several threads a turn is this long: idle threads spin for a while and disturb the next file. */
const TURN_MS = 30;

/**
 * @typedef {object} TimeRequest
 * @property {readonly { name: string, path: string }[]} files
 * @property {number} threads
 * @property {import('../../agent/runtime/types.ts').Feeds} feeds
 * @property {number} seconds at least
 */

export const handlers = {
  /**
   * Latency in ms by name: the lower quartile, which other programs disturb less than the median.
   * @param {TimeRequest} request
   */
  async time({ files, threads, feeds, seconds }) {
    const options = /** @type {const} */ ({ threads, optimization: 'all', arena: true });
    const calls = [];
    for (const { name, path } of files) {
      // oxlint-disable-next-line no-await-in-loop -- one model is loaded at a time
      const session = await openFile(path, options);
      const run = session.prepare?.(feeds) ?? (() => session.run(feeds));
      calls.push({ name, run, ms: /** @type {number[]} */ ([]) });
    }
    const turnMs = threads === 1 ? 0 : TURN_MS;
    /* oxlint-disable no-await-in-loop -- one inference after the other is the point */
    for (let i = 0; i < WARM_UPS; i++) for (const { run } of calls) await run();
    const until = performance.now() + seconds * 1000;
    for (let round = 0; round < MIN_ROUNDS || performance.now() < until; round++) {
      for (const { run, ms } of calls) {
        await turn(run, ms, turnMs);
        if (turnMs > 0) await sleep(SPIN_DOWN_MS);
      }
    }
    /* oxlint-enable no-await-in-loop */
    return Object.fromEntries(calls.map(({ name, ms }) => [name, lowerQuartile(ms)]));
  },
};

/**
 * @param {() => Promise<unknown>} run
 * @param {number[]} ms
 * @param {number} turnMs
 */
async function turn(run, ms, turnMs) {
  const end = performance.now() + turnMs;
  do {
    const start = performance.now();
    // oxlint-disable-next-line no-await-in-loop -- one inference after the other is the point
    await run();
    ms.push(performance.now() - start);
  } while (performance.now() < end);
}

/** @param {readonly number[]} values */
function lowerQuartile(values) {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 4)] ?? NaN;
}
