// @ts-check
// How long `agent probe` takes from a cold start: every run is a new process. Prints the median of ten,
// beside that of an empty Node.js program, which it cannot go below. Needs a build.
//   node scripts/bench-probe.js [RUNS]
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const LIMIT_MS = 300;
const runs = Number(process.argv[2] ?? 10);
if (!Number.isInteger(runs) || runs < 1) {
  console.error(`bench-probe: ${process.argv[2]} is no number of runs: give 1 or more`);
  process.exit(2);
}
const agent = join(import.meta.dirname, '../dist/agent/cli/main.js');

/** @param {readonly string[]} args */
function timeOf(args) {
  const start = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`node ${args.join(' ')} ended with ${status}: ${stderr}`);
  return performance.now() - start;
}

/** @param {readonly number[]} times */
function middleAndLeast(times) {
  const sorted = times.toSorted((a, b) => a - b);
  return { median: sorted[Math.floor(sorted.length / 2)] ?? 0, least: sorted[0] ?? 0 };
}

// In turns: whatever else the machine does meets both alike.
const pairs = Array.from({ length: runs }, () => ({
  empty: timeOf(['-e', '0']),
  probe: timeOf([agent, 'probe', '--json']),
}));
const empty = middleAndLeast(pairs.map((pair) => pair.empty));
const probe = middleAndLeast(pairs.map((pair) => pair.probe));
const ms = (/** @type {number} */ value) => `${value.toFixed(0)} ms`;
console.log(`node alone: median ${ms(empty.median)}, shortest ${ms(empty.least)}`);
console.log(`agent probe: median ${ms(probe.median)}, shortest ${ms(probe.least)} of ${runs} runs`);
console.log(`${(probe.median / empty.median).toFixed(1)} times as long as node alone`);
console.log(probe.median < LIMIT_MS ? `under ${LIMIT_MS} ms` : `not under ${LIMIT_MS} ms`);
