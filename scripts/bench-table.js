// @ts-check
// Benchmarks packages one after the other and prints one Markdown row each: the float model at its
// best, what was chosen, and static INT8 whether it was chosen or not.
//
//   node scripts/bench-table.js MANIFEST... [-- OPTION...]     options go to `agent bench`
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';

const agent = join(dirname(import.meta.dirname), 'dist/agent/cli/main.js');
const TIMEOUT_MS = 900_000;
/** Done, but an objective given in the options was not met: a row like any other. */
const OBJECTIVE_MISSED = 3;

/** @typedef {import('../agent/contracts/bench.ts').BenchReport} BenchReport */
/** @typedef {BenchReport['candidates'][number]} Candidate */

const args = process.argv.slice(2);
const split = args.includes('--') ? args.indexOf('--') : args.length;
const [manifests, options] = [args.slice(0, split), args.slice(split + 1)];
if (manifests.length === 0) {
  console.error('usage: node scripts/bench-table.js MANIFEST... [-- OPTION...]');
  process.exit(2);
}

const COLUMNS = [
  'package',
  'float ms',
  'chosen',
  'ms',
  'speed-up',
  'size',
  'integer',
  'SQNR dB',
  'metric: float, chosen',
  'INT8 static: ms (1 thread, float), size, SQNR dB, drop in points',
];
console.log(`| ${COLUMNS.join(' | ')} |\n|${COLUMNS.map(() => ' --- ').join('|')}|`);
for (const manifest of manifests) console.log(rowOf(manifest));

/** @param {string} manifest */
function rowOf(manifest) {
  const command = [agent, 'bench', manifest, '--json', ...options];
  const limits = { timeout: TIMEOUT_MS, maxBuffer: 2 ** 26 };
  const ran = spawnSync(process.execPath, command, { ...limits, encoding: 'utf8' });
  if (ran.status === 0 || ran.status === OBJECTIVE_MISSED) {
    return `| ${cells(JSON.parse(ran.stdout)).join(' | ')} |`;
  }
  const lines = (ran.error?.message ?? ran.stderr).trim().split('\n');
  return `| ${manifest} | ${lines.at(-1)} |`;
}

/** @param {BenchReport} report */
function cells({ model, candidates, chosen }) {
  const float = fastest(candidates.filter(({ method }) => method === 'none'));
  const best = candidates.find(({ id }) => id === chosen);
  if (float === undefined || best === undefined) return [model.name, 'nothing could be chosen'];
  const [before, after] = [p50(float), p50(best)];
  return [
    model.name,
    `${digits(before)} (t${float.threads})`,
    `${best.method === 'none' ? 'float' : `${best.precision}-${best.method}`} t${best.threads}`,
    digits(after),
    `${(before / after).toFixed(2)}x`,
    share(best, model),
    percent(best.integerCoverage),
    decibels(best),
    metric(float, best),
    staticCell(candidates, model),
  ];
}

/** @param {Candidate} row */
function p50({ latencyMs }) {
  return latencyMs?.p50 ?? Number.NaN;
}

/** @param {readonly Candidate[]} rows those that could not be measured are passed over */
function fastest(rows) {
  const measured = rows.filter(({ latencyMs }) => latencyMs !== null);
  return measured.toSorted((a, b) => p50(a) - p50(b))[0];
}

/**
 * @param {Candidate} row
 * @param {BenchReport['model']} model
 */
function share({ bytes }, model) {
  return bytes === null ? '-' : (bytes / model.bytes).toFixed(2);
}

/**
 * @param {Candidate} float
 * @param {Candidate} best
 */
function metric(float, best) {
  if (float.accuracy === null || best.accuracy === null) return 'no labels';
  const { metric: name, value } = best.accuracy;
  return `${name} ${float.accuracy.value.toFixed(4)}, ${value.toFixed(4)}`;
}

/**
 * @param {readonly Candidate[]} candidates
 * @param {BenchReport['model']} model
 */
function staticCell(candidates, model) {
  const row = candidates.find(({ method, threads }) => method === 'static' && threads === 1);
  if (row === undefined) return 'not tried';
  if (row.latencyMs === null) return row.reason.replaceAll('|', '/');
  const float = candidates.find(({ method, threads }) => method === 'none' && threads === 1);
  const drop = row.accuracy === null ? '-' : (row.accuracy.drop * 100).toFixed(2);
  const times = `${digits(row.latencyMs.p50)} (${float === undefined ? '-' : digits(p50(float))})`;
  return `${times}, ${share(row, model)}, ${decibels(row)}, ${drop}`;
}

/** @param {Candidate} row */
function decibels({ fidelity, method }) {
  if (method === 'none') return 'same';
  const decibel = fidelity?.sqnrDb ?? null;
  return decibel === null ? '-' : decibel.toFixed(1);
}

/** @param {number | null} part */
function percent(part) {
  return part === null ? '-' : `${Math.round(part * 100)} %`;
}

/** @param {number} value */
function digits(value) {
  return value.toPrecision(3);
}
