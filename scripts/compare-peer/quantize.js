// @ts-check
// Runs `agent quantize` as a program of its own and watches what it costs.
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

const agent = join(dirname(dirname(import.meta.dirname)), 'dist/agent/cli/main.js');
const SAMPLE_MS = 25;
const TIMEOUT_MS = 900_000;

/** @typedef {import('../../agent/contracts/quantize.ts').QuantizeReport} QuantizeReport */

/**
 * @typedef {object} Run
 * @property {string} path of the file made
 * @property {number} seconds from start to exit
 * @property {number} peakPssBytes largest sum over the process tree; 0 where the system does not say
 * @property {QuantizeReport | null} report null when it failed
 * @property {string | null} error its last line
 */

/**
 * @param {string} model a manifest or a model file
 * @param {readonly string[]} options e.g. `--to auto`
 * @param {string} path file to write
 * @param {number} timeoutMs after which it is ended
 * @returns {Promise<Run>}
 */
export async function quantize(model, options, path, timeoutMs = TIMEOUT_MS) {
  const start = performance.now();
  const child = spawn(
    process.execPath,
    [agent, 'quantize', model, ...options, '-o', path, '--json'],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutMs,
    },
  );
  const { pid = -1 } = child;
  let [out, err, peak] = ['', '', 0];
  child.stdout.on('data', (chunk) => (out += String(chunk)));
  child.stderr.on('data', (chunk) => (err += String(chunk)));
  const sampler = setInterval(() => (peak = Math.max(peak, treePssBytes(pid))), SAMPLE_MS);
  /** @type {number | null} */
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  }).finally(() => clearInterval(sampler));
  const seconds = (performance.now() - start) / 1000;
  const failed = code !== 0;
  return {
    path,
    seconds,
    peakPssBytes: peak,
    report: failed ? null : JSON.parse(out),
    error: failed ? whyFailed(err, code, timeoutMs) : null,
  };
}

/** @param {string} said @param {number | null} code null: ended by a signal @param {number} timeoutMs */
function whyFailed(said, code, timeoutMs) {
  if (code === null) return `not done in ${timeoutMs / 1000} s, or crashed`;
  return said.trim().split('\n').at(-1) || `ended with ${code}`;
}

/**
 * Proportional set size of a process and all below it: memory that several share counts once.
 * @param {number} pid
 */
export function treePssBytes(pid) {
  let sum = 0;
  for (const one of treeOf(pid)) {
    const kilobytes = /^Pss:\s+(\d+) kB/m.exec(read(`/proc/${one}/smaps_rollup`))?.[1];
    sum += Number(kilobytes ?? 0) * 1024;
  }
  return sum;
}

/**
 * @param {number} root
 * @returns {number[]}
 */
function treeOf(root) {
  const tasks = `/proc/${root}/task`;
  const children = list(tasks).flatMap((task) =>
    read(join(tasks, task, 'children'))
      .split(' ')
      .filter(Boolean)
      .map(Number),
  );
  return [root, ...children.flatMap(treeOf)];
}

/** @param {string} path */
function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // The process has ended since it was listed, or it is being replaced by another program.
    return '';
  }
}

/** @param {string} folder */
function list(folder) {
  try {
    return readdirSync(folder);
  } catch {
    // The process has ended since it was listed.
    return [];
  }
}
