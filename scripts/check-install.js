// @ts-check
// Proves that a fresh checkout installs, builds and runs with every supported Node.js and npm, and
// that nothing but the npm registry is contacted while it does.
//
//   node scripts/check-install.js            every row
//   node scripts/check-install.js 22/10 24   rows by Node.js version, or Node.js/npm
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { canTrace } from './install/connect-trace.js';
import { startRegistryGuard } from './install/registry-guard.js';
import { installToolchain, must } from './install/toolchain.js';
import { runTrial } from './install/trial.js';

/** Node.js with the npm it carries; the oldest supported patch first; then the newest npm. */
const ROWS = [
  { node: '20.19.0', npm: '10.8.2' },
  { node: '22', npm: '10' },
  { node: '24', npm: '11' },
  { node: '26', npm: '11' },
  { node: '26', npm: '12' },
];

const root = dirname(import.meta.dirname);

/** @param {string[]} names */
function chosenRows(names) {
  const unknown = names.find((name) => !ROWS.some((row) => isCalled(row, name)));
  if (unknown !== undefined) {
    const known = ROWS.map(({ node, npm }) => `${node}/${npm}`).join(' ');
    throw new Error(`no row ${unknown}; there are ${known}`);
  }
  return ROWS.filter((row) => names.length === 0 || names.some((name) => isCalled(row, name)));
}

/**
 * @param {{ node: string, npm: string }} row
 * @param {string} name
 */
function isCalled({ node, npm }, name) {
  return name === node || name === `${node}/${npm}`;
}

/** @param {{ node: string, npm: string }} wanted */
async function check(wanted) {
  const folder = mkdtempSync(join(tmpdir(), 'edgefit-install-'));
  const proxy = process.env['HTTPS_PROXY'] ?? process.env['https_proxy'];
  const registry = new URL(must('npm', ['config', 'get', 'registry']));
  const guard = await startRegistryGuard(registry, proxy ? new URL(proxy) : undefined);
  try {
    const toolchain = installToolchain(join(folder, 'toolchain'), wanted);
    const trial = await runTrial(root, folder, toolchain, guard);
    return { toolchain, ...trial, hosts: guard.report() };
  } finally {
    await guard.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {Awaited<ReturnType<typeof check>>} result */
function problemsOf({ outcomes, stray, problems, hosts }) {
  return [
    ...outcomes.map(({ problem }) => problem).filter((problem) => problem !== ''),
    ...hosts.refused.map((host) => `asked for ${host}, which is not the registry`),
    ...stray.map((address) => `went past the proxy to ${address}`),
    ...(hosts.allowed === 0 ? ['never asked the registry: the guard was not in the way'] : []),
    ...problems,
  ];
}

/** @param {Awaited<ReturnType<typeof check>>} result */
function lineOf(result) {
  const { toolchain, outcomes, hosts, stray } = result;
  const steps = ['npm ci', 'agent', 'native', 'jest', 'npm i tarball', 'tarball agent'];
  const cells = steps.map((name) => {
    const outcome = outcomes.find((one) => one.name === name);
    return outcome === undefined ? '-' : outcome.ok ? `${outcome.seconds.toFixed(0)} s` : 'FAILED';
  });
  const elsewhere = [...hosts.refused, ...stray].length === 0 ? 'none' : 'SOME';
  return `| ${[toolchain.node, toolchain.npm, ...cells, String(hosts.allowed), elsewhere].join(' | ')} |`;
}

const HEAD =
  '| Node.js | npm | npm ci | agent | native | jest | npm i tarball | its agent | registry | elsewhere |\n' +
  '|---|---|---|---|---|---|---|---|---|---|';

const rows = chosenRows(process.argv.slice(2));
if (must('git', ['-C', root, 'status', '--porcelain']) !== '') {
  console.error('check-install: uncommitted changes are not part of what is checked');
}
if (!canTrace()) {
  console.error('check-install: strace is missing or not permitted; only the proxy watches');
}
console.log(HEAD);
/** @type {string[]} */
const problems = [];
for (const row of rows) {
  // oxlint-disable-next-line no-await-in-loop -- one at a time: each is disk and network
  const result = await check(row);
  console.log(lineOf(result));
  problems.push(...problemsOf(result).map((text) => `${row.node}/${row.npm}: ${text}`));
}
for (const problem of problems) console.error(`check-install: ${problem}`);
process.exitCode = problems.length === 0 ? 0 : 1;
