// @ts-check
// Accuracy and latency of several .tflite files of one model in LiteRT, by the agent's own way of
// reading samples, comparing outputs and measuring a task's metric.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { computesShapes, portsOf } from '../litert/ports.js';
import { openLitert } from '../litert/session.js';

const built = join(dirname(dirname(import.meta.dirname)), 'dist/agent');
/** @param {string} name */
const load = (name) => import(join(built, `${name}.js`));

/** @type {typeof import('../../agent/bench/evaluate.ts')} */
const { evaluate, recordReference } = await load('bench/evaluate');
/** @type {typeof import('../../agent/bench/statistics.ts')} */
const { median } = await load('bench/statistics');
/** @type {typeof import('../../agent/fit/subject.ts')} */
const { openSubject, timingFeeds } = await load('fit/subject');
/** @type {typeof import('../../agent/fit/scratch.ts')} */
const { withScratch } = await load('fit/scratch');
/** @type {typeof import('../../agent/fit/worker/samples.ts')} */
const { openJob } = await load('fit/worker/samples');
/** @type {typeof import('../../agent/model/tflite/open.ts')} */
const { openTflite, writeTflite } = await load('model/tflite/open');
/** @type {typeof import('../../agent/model/tflite/tensor-names.ts')} */
const { uniqueTensorNames } = await load('model/tflite/tensor-names');
/** @type {typeof import('../../agent/quantize/tflite/prepare/prepare.ts')} */
const { prepareTflite } = await load('quantize/tflite/prepare/prepare');
/** @type {typeof import('../../agent/runtime/float-session.ts')} */
const { floatSession } = await load('runtime/float-session');

/** WebAssembly is compiled twice: quickly at first, and well once it has run for a while. */
const WARM_UP_MS = 700;
const MIN_ROUNDS = 20;

/** @typedef {import('../compare-peer/rules.js').Figures} Figures */
/** @typedef {import('../../agent/runtime/types.ts').Session} Session */
/** @typedef {{ seconds: number, build: import('../litert/wasm.js').Build }} Options */

const hooks = { signal: new AbortController().signal, progress: () => undefined };

/**
 * Figures of the float model and of `files` (name -> path), on the package's evaluation samples and in
 * one run. `failed` has what LiteRT does not load or run; there are no figures without the float model.
 * @param {string} manifest
 * @param {Readonly<Record<string, string>>} files
 * @param {Options} options
 * @returns {Promise<{ figures: Record<string, Figures>, failed: Record<string, string> }>}
 */
export function measureNewest(manifest, files, { seconds, build }) {
  return withScratch(async (scratch) => {
    const asked = { modelPath: manifest, samples: {}, image: {} };
    const subject = await openSubject(asked, scratch, hooks);
    const paths = { float: subject.loaded.path, ...files };
    const float = openTflite(readFileSync(subject.loaded.path));
    const reference = scratch.file('reference.bin');
    /** @type {Record<string, Figures>} */
    const figures = {};
    /** @type {Record<string, string>} */
    const failed = {};
    /** @type {{ name: string, session: Session }[]} */
    const sessions = [];
    for (const [name, path] of Object.entries(paths)) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- the reference comes first
        const { session, bytes } = await open(path, float, build);
        // oxlint-disable-next-line no-await-in-loop
        figures[name] = { ...(await judge(name, session, subject, reference)), bytes };
        sessions.push({ name, session });
      } catch (error) {
        failed[name] = error instanceof Error ? error.message : String(error);
        if (name === 'float') return { figures, failed };
      }
    }
    const ms = await time(sessions, await timingFeeds(subject, scratch, hooks), seconds);
    for (const [name, one] of Object.entries(figures)) {
      one.ms1 = ms[name] ?? NaN;
      one.msAll = one.ms1;
    }
    return { figures, failed };
  });
}

/**
 * A file whose shapes are computed as it runs, which LiteRT cannot do, has its batch fixed first.
 * @param {string} path
 * @param {import('../../agent/model/tflite/types.ts').TfliteModel} float gives inputs and outputs their names
 * @param {Options['build']} build
 */
async function open(path, float, build) {
  const bytes = readFileSync(path);
  const model = openTflite(bytes);
  const isOpen = model.subgraphs[0] !== undefined && computesShapes(model.subgraphs[0]);
  const fixed = isOpen ? prepareTflite(model, { fixBatch: true }) : model;
  const ports = portsOf(fixed, uniqueTensorNames, float);
  const content = isOpen ? Buffer.concat(writeTflite(fixed)) : bytes;
  return { session: floatSession(await openLitert(content, ports, build)), bytes: bytes.length };
}

/**
 * @param {string} name
 * @param {Session} session
 * @param {import('../../agent/fit/subject.ts').Subject} subject
 * @param {string} reference
 */
async function judge(name, session, { package: described, samples }, reference) {
  const { evaluation: job } = samples;
  if (job === null) throw new Error(`${described.name} has no evaluation samples`);
  const { source } = await openJob(job, session.describe(), hooks.signal);
  const task = described.task ?? undefined;
  const { fidelity, accuracy } = await (name === 'float'
    ? recordReference(reference, session, source, { task })
    : evaluate(session, source, reference, { task }));
  const { metric = null, value = null } = accuracy ?? {};
  return { sqnrDb: fidelity?.sqnrDb ?? null, metric, value, ms1: NaN, msAll: NaN };
}

/**
 * In turn, so that whatever else the machine does hits all files alike. Medians in ms.
 * @param {readonly { name: string, session: Session }[]} sessions
 * @param {import('../../agent/runtime/types.ts').Feeds} feeds
 * @param {number} seconds
 */
async function time(sessions, feeds, seconds) {
  const calls = sessions.map(({ name, session }) => {
    const run = session.prepare?.(feeds) ?? (() => session.run(feeds));
    return { name, run, ms: /** @type {number[]} */ ([]) };
  });
  /* oxlint-disable no-await-in-loop -- one inference after the other is the point */
  for (const { run } of calls) {
    const warm = performance.now() + WARM_UP_MS;
    do await run();
    while (performance.now() < warm);
  }
  const until = performance.now() + seconds * 1000;
  for (let round = 0; round < MIN_ROUNDS || performance.now() < until; round++) {
    for (const { run, ms } of calls) {
      const start = performance.now();
      await run();
      ms.push(performance.now() - start);
    }
  }
  /* oxlint-enable no-await-in-loop */
  return Object.fromEntries(calls.map(({ name, ms }) => [name, median(ms)]));
}
