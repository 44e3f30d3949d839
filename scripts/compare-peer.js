// @ts-check
// Quantizes the ONNX packages and shows every figure beside the best peer's: a table for each way to
// quantize, then one verdict for each target. Needs a build.
//
//   node scripts/compare-peer.js [--packages DIR] [--peer DIR] [--only NAME,NAME...]
//       [--to int8-static,auto] [--no-synthetic] [--json FILE] [--strict]
//
// Without --strict the exit code says only whether everything ran. `--no-synthetic` leaves out what is
// shown on a made-up network: the size of a large model and the memory of the observers.
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { autoTargets, keptFloat } from './compare-peer/auto-targets.js';
import { measure } from './compare-peer/measure.js';
import { peerOf } from './compare-peer/peer.js';
import { quantize } from './compare-peer/quantize.js';
import { autoTable, likeForLikeTable, staticTable, targetList } from './compare-peer/table.js';
import { staticTargets } from './compare-peer/static-targets.js';
import { observerTargets } from './compare-peer/observer-targets.js';
import { writeSyntheticCnn } from './synthetic-cnn.js';

/** @typedef {import('./compare-peer/rows.js').Row} Row */
/** @typedef {import('./compare-peer/rows.js').Mode} Mode */
/** @typedef {import('./compare-peer/observer-targets.js').ObserverRun} ObserverRun */

const shared = join(dirname(dirname(import.meta.dirname)), 'shared');
const STATIC_OPTIONS = ['--to', 'int8-static', '--observer'];
/** @type {Readonly<Record<Mode, readonly string[]>>} */
const OPTIONS = {
  'int8-static': ['--to', 'int8-static'],
  // What the peer does: extremes as ranges, and the result as it comes.
  'like for like': [...STATIC_OPTIONS, 'min-max', '--no-mixed'],
  auto: ['--to', 'auto'],
};
const OBSERVERS = ['min-max', 'percentile', 'entropy', 'mse'];
const SAMPLE_COUNTS = [100, 1000];

const USAGE = `usage: node scripts/compare-peer.js [--packages DIR] [--peer DIR] [--only NAME,NAME...]
    [--to int8-static,auto] [--no-synthetic] [--json FILE] [--strict]`;
const asked = readArguments();
const modes = readModes(asked.to);

const work = mkdtempSync(join(tmpdir(), 'compare-peer-'));
process.once('exit', () => rmSync(work, { recursive: true, force: true }));

/** @type {Row[]} */
const rows = [];
/** @type {ObserverRun[]} */
const observerRuns = [];
/** What could not be run. @type {string[]} */
const broken = [];
const peers = JSON.parse(readFileSync(join(asked.peer, 'results.json'), 'utf8')).onnx;

const [load = 0] = loadavg();
if (load > availableParallelism() / 4) {
  say(`the machine is busy (load ${load.toFixed(1)}): seconds are too high, ratios uncertain`);
}

/* oxlint-disable no-await-in-loop -- one thing at a time: everything here is measured */
for (const manifest of manifests()) {
  const { name } = JSON.parse(readFileSync(manifest, 'utf8'));
  const file = join(asked.peer, 'best', `${name}.onnx`);
  rows.push(await look(name, manifest, modes, existsSync(file) ? file : undefined));
  save();
}
if (!asked['no-synthetic'] && modes.includes('int8-static')) await lookAtSynthetic();
/* oxlint-enable no-await-in-loop */
const failed = show();
process.exitCode = failed ? 1 : 0;

function readArguments() {
  try {
    return parseArgs({
      options: {
        packages: { type: 'string', default: join(shared, 'corpus/packages') },
        peer: { type: 'string', default: join(shared, 'peer') },
        only: { type: 'string' },
        to: { type: 'string', default: 'int8-static,auto' },
        'no-synthetic': { type: 'boolean', default: false },
        json: { type: 'string' },
        strict: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return process.exit(2);
  }
}

/** @param {string} list @returns {Mode[]} */
function readModes(list) {
  const names = list.split(',');
  const known = names.filter((name) => name === 'auto' || name === 'int8-static');
  if (known.length === names.length) {
    return known.flatMap((name) => (name === 'auto' ? [name] : [name, 'like for like']));
  }
  console.error(`--to ${list}: use int8-static, auto or both`);
  return process.exit(2);
}

/** Manifests of ONNX models, sorted by name. */
function manifests() {
  const only = asked.only?.split(',');
  return readdirSync(asked.packages)
    .filter((file) => file.endsWith('.json'))
    .filter((file) => only === undefined || only.includes(file.slice(0, -'.json'.length)))
    .map((file) => join(asked.packages, file))
    .filter((path) => JSON.parse(readFileSync(path, 'utf8')).model.endsWith('.onnx'))
    .toSorted();
}

/**
 * Quantizes one package in every way that was asked for, then measures all its files together.
 * @param {string} name
 * @param {string} manifest
 * @param {readonly Mode[]} ways
 * @param {string | undefined} peerFile
 * @returns {Promise<Row>}
 */
async function look(name, manifest, ways, peerFile) {
  /** @type {Row} */
  const row = {
    name,
    hasConv: false,
    runs: {},
    figures: {},
    failed: [],
    peer: peerOf(peers[name]),
  };
  /** @type {Record<string, string>} */
  const files = {};
  for (const mode of ways) {
    say(`${name}: ${OPTIONS[mode].join(' ')}`);
    // oxlint-disable-next-line no-await-in-loop -- time and memory are measured
    const run = await quantize(manifest, OPTIONS[mode], join(work, `${name}.${mode}.onnx`));
    row.runs[mode] = run;
    if (run.error === null) files[mode] = run.path;
    else broken.push(`${name} ${OPTIONS[mode].join(' ')}: ${run.error}`);
  }
  if (peerFile !== undefined) files['peer'] = peerFile;
  say(`${name}: measuring`);
  try {
    const { hasConv, figures, failed: unfit } = await measure(manifest, files);
    row.failed.push(...Object.entries(unfit).map(([file, why]) => `${file}: ${why}`));
    Object.assign(row, { hasConv, figures });
  } catch (error) {
    row.failed.push(error instanceof Error ? error.message : String(error));
  }
  broken.push(...row.failed.map((why) => `${name}: ${why}`));
  return row;
}

/** A network of over 4 MB, and on it what each observer takes for few samples and for many. */
async function lookAtSynthetic() {
  for (const samples of SAMPLE_COUNTS) {
    const manifest = writeSyntheticCnn(join(work, `synthetic-${samples}`), { samples });
    if (samples === SAMPLE_COUNTS[0]) {
      // oxlint-disable-next-line no-await-in-loop -- time and memory are measured
      rows.push(await look('synthetic-cnn', manifest, ['int8-static'], undefined));
    }
    for (const observer of OBSERVERS) {
      say(`synthetic-cnn: ${observer}, ${samples} samples`);
      const path = join(work, `${observer}.onnx`);
      // oxlint-disable-next-line no-await-in-loop -- time and memory are measured
      const run = await quantize(manifest, [...STATIC_OPTIONS, observer], path);
      if (run.error !== null) broken.push(`${observer}, ${samples} samples: ${run.error}`);
      else observerRuns.push({ observer, samples, peakPssBytes: run.peakPssBytes });
    }
    save();
  }
}

/** Prints tables and verdicts. Returns whether the exit code must say that something is wrong. */
function show() {
  const targets = [];
  if (modes.includes('auto')) {
    console.log(`\n--to auto\n${autoTable(rows)}\n`);
    const kept = keptFloat(rows);
    console.log(`float was kept for: ${kept.map(({ name }) => name).join(', ') || 'none'}`);
    for (const { name, lost } of kept) console.log([name, ...lost].join('\n  '));
    targets.push(...autoTargets(rows));
  }
  if (modes.includes('int8-static')) {
    console.log(`\n--to int8-static\n${staticTable(rows)}\n`);
    const options = OPTIONS['like for like'].join(' ');
    console.log(`${options}: as the peer does it\n${likeForLikeTable(rows)}`);
    targets.push(...staticTargets(rows));
  }
  if (observerRuns.length > 0) targets.push(...observerTargets(observerRuns));
  if (broken.length > 0) console.log(`\nfailed:\n  ${broken.join('\n  ')}`);
  console.log(`\n${targetList(targets)}`);
  save(targets);
  const missed = targets.some(({ verdict }) => verdict === 'missed');
  return broken.length > 0 || (asked.strict && missed);
}

/** Keeps what there is so far. @param {readonly import('./compare-peer/rules.js').Target[]} targets */
function save(targets = []) {
  if (asked.json === undefined) return;
  writeFileSync(asked.json, `${JSON.stringify({ rows, observerRuns, targets }, null, 1)}\n`);
}

/** @param {string} text */
function say(text) {
  process.stderr.write(`${text}\n`);
}
