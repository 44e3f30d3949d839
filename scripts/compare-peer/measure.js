// @ts-check
// Accuracy and latency of several files of one model, by the agent's own judging of candidates.
import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';

const built = join(dirname(dirname(import.meta.dirname)), 'dist/agent');
/** @param {string} name */
const load = (name) => import(join(built, `${name}.js`));

/** @type {typeof import('../../agent/fit/subject.ts')} */
const { openSubject, timingFeeds, workThreads } = await load('fit/subject');
/** @type {typeof import('../../agent/fit/children.ts')} */
const { LOAD_TIMEOUT_MS, inChild } = await load('fit/children');
/** @type {typeof import('../../agent/fit/scratch.ts')} */
const { withScratch } = await load('fit/scratch');
/** @type {typeof import('../../agent/runtime/worker.ts')} */
const { startWorker } = await load('runtime/worker');

const TIMING_SECONDS = 3;
/** What ONNX calls `Conv`. */
const CONVOLUTIONS = ['CONV_2D', 'DEPTHWISE_CONV_2D'];
/** Some files run for a fifth of a second, twenty times, and there are four of them. */
const TIMING_TIMEOUT_MS = 300_000;

/** @typedef {import('./rules.js').Figures} Figures */
/** @typedef {import('../../agent/fit/subject.ts').Subject} Subject */
/** @typedef {import('../../agent/fit/scratch.ts').Scratch} Scratch */

/** @type {import('../../agent/fit/types.ts').Hooks} */
const hooks = { signal: new AbortController().signal, progress: () => undefined };

/**
 * Figures of the float model and of `files` (name -> path), all on the package's evaluation samples and
 * in one run. `failed` has the files that do not load or run.
 * @param {string} manifest
 * @param {Readonly<Record<string, string>>} files
 * @param {{ readonly seconds?: number, readonly oneThread?: boolean, readonly judgeMs?: number }} options
 *   how long to time, whether on one thread only, and how long a file may take for all samples
 * @returns {Promise<{ hasConv: boolean, figures: Record<string, Figures>, failed: Record<string, string> }>}
 */
export function measure(manifest, files, options = {}) {
  const { seconds = TIMING_SECONDS, oneThread = false, judgeMs = LOAD_TIMEOUT_MS } = options;
  return withScratch(async (scratch) => {
    const asked = { modelPath: manifest, samples: {}, image: {} };
    const subject = await openSubject(asked, scratch, hooks);
    const all = { float: subject.loaded.path, ...files };
    const { judged, failed } = await judge(all, subject, scratch, judgeMs);
    const usable = Object.entries(all).flatMap(([name, path]) =>
      name in judged ? [{ name, path }] : [],
    );
    const feeds = await timingFeeds(subject, scratch, hooks);
    const ms1 = await time({ files: usable, threads: 1, feeds, seconds });
    const threads = oneThread ? 1 : availableParallelism();
    const msAll = threads === 1 ? ms1 : await time({ files: usable, threads, feeds, seconds });
    /** @type {Record<string, Figures>} */
    const figures = {};
    for (const { name, path } of usable) {
      // oxlint-disable-next-line no-await-in-loop -- four small calls
      const { size: bytes } = await stat(path);
      const one = judged[name] ?? { sqnrDb: null, metric: null, value: null };
      figures[name] = { ...one, bytes, ms1: ms1[name] ?? NaN, msAll: msAll[name] ?? NaN };
    }
    return { hasConv: hasConv(subject), figures, failed };
  });
}

/**
 * @param {Readonly<Record<string, string>>} files the float model first
 * @param {Subject} subject
 * @param {Scratch} scratch
 * @param {number} timeoutMs for each of them but the first, which is the reference
 */
async function judge(files, subject, scratch, timeoutMs) {
  const { package: described, samples } = subject;
  const { evaluation: job } = samples;
  if (job === null) throw new Error(`${described.name} has no evaluation samples`);
  /** @type {Record<string, Pick<Figures, 'sqnrDb' | 'metric' | 'value'>>} */
  const judged = {};
  /** @type {Record<string, string>} */
  const failed = {};
  const rest = { job, task: described.task, reference: scratch.file('reference.bin') };
  for (const [name, path] of Object.entries(files)) {
    const record = name === 'float';
    const request = { ...rest, path, record, threads: workThreads(subject) };
    try {
      // oxlint-disable-next-line no-await-in-loop -- one model in memory at a time
      const { fidelity, accuracy } = await inChild({
        name,
        signal: hooks.signal,
        scratch,
        use: (worker) =>
          worker.call('evaluate', request, { timeoutMs: record ? LOAD_TIMEOUT_MS : timeoutMs }),
      });
      const { metric = null, value = null } = accuracy ?? {};
      judged[name] = { sqnrDb: fidelity?.sqnrDb ?? null, metric, value };
    } catch (error) {
      // Without the float model there is nothing to compare with.
      if (record) throw error;
      failed[name] = error instanceof Error ? error.message : String(error);
    }
  }
  return { judged, failed };
}

/**
 * @param {import('./worker.js').TimeRequest} request
 * @returns {Promise<Record<string, number>>}
 */
async function time(request) {
  const path = join(import.meta.dirname, 'worker.js');
  /** @type {import('../../agent/runtime/worker.ts').Worker<typeof import('./worker.js').handlers>} */
  const worker = await startWorker(path, { name: 'timing' });
  try {
    return await worker.call('time', request, { timeoutMs: TIMING_TIMEOUT_MS });
  } finally {
    await worker.close();
  }
}

/** @param {Subject} subject */
function hasConv({ loaded }) {
  const { model } = loaded;
  return model.format === 'onnx'
    ? model.graph.node.some(({ opType }) => opType === 'Conv')
    : model.subgraphs.some(({ operators }) =>
        operators.some(({ op }) => CONVOLUTIONS.includes(op)),
      );
}
