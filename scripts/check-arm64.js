// @ts-check
// Runs the agent on aarch64: packed and installed for linux-arm64, under qemu-user with Node.js's arm64
// build, on every core of check-arm64/cores.js. What comes out has to agree with this machine within
// the rounding of the runtimes. See docs/arm64.md.
//
//   node scripts/check-arm64.js                           everything
//   node scripts/check-arm64.js cortex-a76 outputs probe   some cores, some parts
//   node scripts/check-arm64.js newer-nodes                newer Node.js than the one that does the work
//
// Downloads (Debian packages, Node.js, dependencies) are kept in EDGEFIT_ARM64_CACHE, by default
// edgefit/arm64 in the user's cache folder.
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { startBroker } from './check-arm64/broker.js';
import { CORES } from './check-arm64/cores.js';
import { fetchEmulator, fetchNode, makeEmulator } from './check-arm64/emulator.js';
import { nodeChecks } from './check-arm64/nodes.js';
import { installPackage } from './check-arm64/package.js';
import { makeReference } from './check-arm64/reference.js';
import { loadSchemas } from './check-arm64/schemas.js';
import { PARTS } from './check-arm64/trial.js';
import { prepareWork } from './check-arm64/work.js';

/** The oldest supported one does the work. */
const NODE = '20.19.0';
/** Started on the last core only, when asked for: 200 MB of downloads, and little can differ. */
const OTHER_NODES = ['22', '24'];
const NEWER_NODES = 'newer-nodes';

const names = process.argv.slice(2);
const cores = chosen(CORES, ({ cpu }) => cpu);
/** Newer Node.js alone needs none of them. */
const parts = names.join() === NEWER_NODES ? [] : chosen(PARTS, ([name]) => name);

const checkout = dirname(import.meta.dirname);
const cacheHome = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
const cache = process.env['EDGEFIT_ARM64_CACHE'] || join(cacheHome, 'edgefit/arm64');

/** @typedef {import('./check-arm64/compare.js').Check} Check */
/** @typedef {Check & { core: string }} Result */

/** @type {string[]} */
const times = [];

/**
 * Those that the command line names; all where it names none of the kind.
 * @template T
 * @param {readonly T[]} all
 * @param {(one: T) => string} nameOf
 */
function chosen(all, nameOf) {
  const named = all.filter((one) => names.includes(nameOf(one)));
  return named.length === 0 ? all : named;
}

function checkNames() {
  const known = [...CORES.map(({ cpu }) => cpu), ...PARTS.map(([name]) => name), NEWER_NODES];
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`nothing is called ${unknown}: ${known.join(', ')}`);
}

/**
 * Does something, and remembers how long it took.
 * @template T
 * @param {string} name
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
async function timed(name, work) {
  const began = performance.now();
  try {
    return await work();
  } finally {
    const seconds = (performance.now() - began) / 1000;
    times.push(`${seconds.toFixed(1).padStart(7)} s  ${name}`);
    console.error(`check-arm64: ${name}: ${seconds.toFixed(0)} s`);
  }
}

/**
 * All parts on one core; a part that breaks is one failed check, and the next one is tried.
 * @param {Omit<import('./check-arm64/trial.js').Trial, 'core' | 'node' | 'folder'>} shared
 * @param {import('./check-arm64/cores.js').Core} core
 * @param {import('./check-arm64/work.js').Node} node
 * @param {string} folder
 * @returns {Promise<Result[]>}
 */
async function tryCore(shared, core, node, folder) {
  const trial = { ...shared, core, node, folder };
  const results = [];
  for (const [name, part] of parts) {
    // oxlint-disable-next-line no-await-in-loop -- one core has one thing to do at a time
    const checks = await timed(`${core.cpu}: ${name}`, () => part(trial)).catch(failed(name));
    results.push(...checks.map((check) => printed({ ...check, core: core.cpu })));
  }
  return results;
}

/** @param {string} name */
function failed(name) {
  return (/** @type {unknown} */ error) => [
    { name, ok: false, detail: error instanceof Error ? error.message : String(error) },
  ];
}

/** @param {string} folder */
async function checkAll(folder) {
  checkNames();
  await mkdir(cache, { recursive: true });
  const [emulator, program, home] = await Promise.all([
    timed('qemu and the C library', () => fetchEmulator(cache)),
    timed(`Node.js ${NODE}`, () => fetchNode(NODE, cache)),
    timed('the agent for arm64', () => installPackage(checkout, cache)),
  ]);
  const work = await prepareWork(home, join(folder, 'work'));
  const reference = await timed('the same on this machine', () => makeReference(checkout, work));
  const broker = await startBroker(folder);
  try {
    const shared = { home, work, reference, broker, schemas: await loadSchemas(checkout) };
    const perCore = await Promise.all(
      cores.map(async (core) => {
        const own = join(folder, core.cpu);
        const { node } = await makeEmulator(own, core, { ...emulator, node: program });
        return tryCore(shared, core, node, own);
      }),
    );
    if (!names.includes(NEWER_NODES)) return perCore.flat();
    const others = await timed(`Node.js ${OTHER_NODES.join(', ')}`, () =>
      nodeChecks(OTHER_NODES, { cache, folder, home, emulator, schemas: shared.schemas }),
    );
    return [...perCore.flat(), ...others.map(printed)];
  } finally {
    await broker.close();
  }
}

/**
 * Prints a result when it is there: what is left of a run that is cut short.
 * @param {Result} result
 */
function printed(result) {
  const { core, name, ok, detail } = result;
  console.log(`${ok ? 'ok    ' : 'FAILED'}  ${core}  ${name}: ${detail}`);
  return result;
}

/** @param {readonly Result[]} results */
function summarize(results) {
  console.log(`\n${times.join('\n')}\n`);
  const passed = results.filter(({ ok }) => ok).length;
  const failures = results.length - passed;
  // As jest writes it: .ci/run counts this line.
  const bad = failures === 0 ? '' : `${failures} failed, `;
  console.log(`Tests: ${bad}${passed} passed, ${results.length} total`);
  return failures;
}

const folder = await mkdtemp(join(tmpdir(), 'edgefit-arm64-'));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  // The kernel ends what was started (check-arm64/run.js).
  process.once(signal, () => {
    rmSync(folder, { recursive: true, force: true });
    process.exit(1);
  });
}
try {
  process.exitCode = summarize(await checkAll(folder)) === 0 ? 0 : 1;
} catch (error) {
  console.error(`check-arm64: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}
