// Benchmarks packages one after the other and prints one Markdown row each: the float model at its
// best, what was chosen, and static INT8 whether it was chosen or not.
//
//   node scripts/bench-table.js MANIFEST... [-- OPTION...]     options go to `agent bench`
import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const agent = join(dirname(import.meta.dirname), 'dist/agent/cli/main.js');
const TIMEOUT_MS = 900_000;

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
for (const manifest of manifests) console.log(await rowOf(manifest));

async function rowOf(manifest) {
  const command = [agent, 'bench', manifest, '--json', ...options];
  const limits = { timeout: TIMEOUT_MS, maxBuffer: 2 ** 26 };
  try {
    const { stdout } = await run(process.execPath, command, limits);
    return `| ${cells(JSON.parse(stdout)).join(' | ')} |`;
  } catch (error) {
    const lines = String(error.stderr ?? error.message)
      .trim()
      .split('\n');
    return `| ${manifest} | ${lines.at(-1)} |`;
  }
}

function cells({ model, candidates, chosen }) {
  const float = fastest(candidates.filter(({ method }) => method === 'none'));
  const best = candidates.find(({ id }) => id === chosen);
  return [
    model.name,
    `${digits(float.latencyMs.p50)} (t${float.threads})`,
    `${best.method === 'none' ? 'float' : `${best.precision}-${best.method}`} t${best.threads}`,
    digits(best.latencyMs.p50),
    `${(float.latencyMs.p50 / best.latencyMs.p50).toFixed(2)}x`,
    (best.bytes / model.bytes).toFixed(2),
    percent(best.integerCoverage),
    decibels(best),
    metric(float, best),
    staticCell(candidates, model),
  ];
}

function fastest(rows) {
  return rows.reduce((a, b) => (b.latencyMs.p50 < a.latencyMs.p50 ? b : a));
}

function metric(float, best) {
  if (best.accuracy === null) return 'no labels';
  const { metric: name, value } = best.accuracy;
  return `${name} ${float.accuracy.value.toFixed(4)}, ${value.toFixed(4)}`;
}

function staticCell(candidates, model) {
  const row = candidates.find(({ method, threads }) => method === 'static' && threads === 1);
  if (row === undefined) return 'not tried';
  if (row.latencyMs === null) return row.reason.replaceAll('|', '/');
  const float = candidates.find(({ method, threads }) => method === 'none' && threads === 1);
  const drop = row.accuracy === null ? '-' : (row.accuracy.drop * 100).toFixed(2);
  const times = `${digits(row.latencyMs.p50)} (${digits(float.latencyMs.p50)})`;
  return `${times}, ${(row.bytes / model.bytes).toFixed(2)}, ${decibels(row)}, ${drop}`;
}

function decibels({ fidelity, method }) {
  if (method === 'none') return 'same';
  return fidelity === null || fidelity.sqnrDb === null ? '-' : fidelity.sqnrDb.toFixed(1);
}

function percent(share) {
  return share === null ? '-' : `${Math.round(share * 100)} %`;
}

function digits(value) {
  return value.toPrecision(3);
}
