// @ts-check
// One row of the install table: a fresh clone and a fresh npm cache, installed with one toolchain.
import { spawn } from 'node:child_process';
import { createWriteStream, existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { canTrace, strayConnections, traced } from './connect-trace.js';
import { must } from './toolchain.js';

const STEP_TIMEOUT_MS = 10 * 60_000;

/** Loads both native libraries: denying their install scripts must not have cost anything. */
const LOAD_NATIVE =
  "const ort = await import('onnxruntime-node'); const { default: sharp } = await import('sharp');" +
  "const pixel = { create: { width: 1, height: 1, channels: 3, background: 'red' } };" +
  'if (!ort.InferenceSession || (await sharp(pixel).raw().toBuffer())[0] !== 255) process.exit(1);';

/**
 * @typedef {object} Step
 * @property {string} name
 * @property {string} cwd
 * @property {readonly string[]} command
 * @property {string} [prints] a line the command must print
 */

/**
 * @typedef {object} Outcome
 * @property {string} name
 * @property {boolean} ok
 * @property {number} seconds
 * @property {string} problem empty when ok
 */

/**
 * The steps of a trial, in order; a later one needs the earlier ones.
 * @param {string} clone
 * @param {string} consumer an empty folder that installs the packed tarball
 * @param {{ name: string, version: string }} manifest
 * @returns {Step[]}
 */
export function stepsOf(clone, consumer, manifest) {
  const tarball = join(clone, `${manifest.name}-${manifest.version}.tgz`);
  const native = ['node', '--input-type=module', '-e', LOAD_NATIVE];
  const version = ['npx', '--no', '--', 'agent', '--version'];
  // The demo model, its samples and the profiles must all be where the program looks for them.
  const bench = ['npx', '--no', '--', 'agent', 'bench', '--as-is', '--min-time', '0.1', '--json'];
  // Fails unless onnxruntime, koffi and the TFLite library load.
  const doctor = ['npx', '--no', '--', 'agent', 'doctor'];
  return [
    { name: 'npm ci', cwd: clone, command: ['npm', 'ci'] },
    { name: 'agent', cwd: clone, command: version, prints: manifest.version },
    { name: 'native', cwd: clone, command: native },
    { name: 'bench', cwd: clone, command: bench },
    { name: 'doctor', cwd: clone, command: doctor },
    {
      name: 'jest',
      cwd: clone,
      command: ['npm', 'run', 'jest', '--', 'test/architecture.test.ts'],
    },
    { name: 'npm pack', cwd: clone, command: ['npm', 'pack', '--silent'] },
    { name: 'npm i tarball', cwd: consumer, command: ['npm', 'i', tarball] },
    { name: 'tarball agent', cwd: consumer, command: version, prints: manifest.version },
    { name: 'tarball native', cwd: consumer, command: native },
    { name: 'tarball bench', cwd: consumer, command: bench },
    { name: 'tarball doctor', cwd: consumer, command: doctor },
  ];
}

/**
 * @param {string} root the repository to clone
 * @param {string} folder scratch space of this trial
 * @param {import('./toolchain.js').Toolchain} toolchain
 * @param {import('./registry-guard.js').RegistryGuard} guard
 */
export async function runTrial(root, folder, toolchain, guard) {
  const clone = join(folder, 'clone');
  const consumer = join(folder, 'consumer');
  mkdirSync(consumer, { recursive: true });
  must('git', ['clone', '--quiet', '--no-hardlinks', root, clone]);
  /** @type {{ name: string, version: string }} */
  const manifest = JSON.parse(readFileSync(join(clone, 'package.json'), 'utf8'));
  const environment = environmentOf(folder, toolchain, guard);

  /** @type {Outcome[]} */
  const outcomes = [];
  /** @type {Set<string>} */
  const stray = new Set();
  for (const step of stepsOf(clone, consumer, manifest)) {
    const log = join(folder, `${step.name.replaceAll(' ', '-')}.connect`);
    // oxlint-disable-next-line no-await-in-loop -- each step needs the one before it
    outcomes.push(await runStep(step, log, environment, folder));
    for (const address of strayConnections(log, guard.port)) stray.add(address);
    if (!outcomes.at(-1)?.ok) break;
  }
  return {
    outcomes,
    stray: [...stray].toSorted(),
    problems: packageProblems(consumer, manifest.name),
  };
}

/**
 * @param {string} folder
 * @param {import('./toolchain.js').Toolchain} toolchain
 * @param {import('./registry-guard.js').RegistryGuard} guard
 * @returns {NodeJS.ProcessEnv}
 */
function environmentOf(folder, toolchain, guard) {
  // Settings of the npm that started this script must not leak into the one on trial.
  const own = Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name));
  return {
    ...Object.fromEntries(own),
    ...guard.environment,
    PATH: `${toolchain.bin}${delimiter}${process.env['PATH'] ?? ''}`,
    npm_config_cache: join(folder, 'npm-cache'),
    npm_config_globalconfig: must('npm', ['config', 'get', 'globalconfig']),
    npm_config_update_notifier: 'false',
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    // For the tarball: a package cannot bring an .npmrc along (README, "Install").
    ONNXRUNTIME_NODE_INSTALL: undefined,
  };
}

/**
 * @param {Step} step
 * @param {string} log
 * @param {NodeJS.ProcessEnv} environment
 * @param {string} folder
 * @returns {Promise<Outcome>}
 */
async function runStep(step, log, environment, folder) {
  const started = Date.now();
  const env =
    step.name === 'npm i tarball'
      ? { ...environment, ONNXRUNTIME_NODE_INSTALL: 'skip' }
      : environment;
  const [program = '', ...parameters] = canTrace() ? traced(log, step.command) : step.command;
  const output = createWriteStream(join(folder, 'output.log'), { flags: 'a' });
  const child = spawn(program, parameters, { cwd: step.cwd, env, timeout: STEP_TIMEOUT_MS });
  let text = '';
  child.stdin.end();
  for (const stream of [child.stdout, child.stderr]) {
    stream.pipe(output, { end: false });
    stream.setEncoding('utf8').on('data', (chunk) => (text += String(chunk)));
  }
  const status = await new Promise((resolve) => {
    child.on('close', resolve);
    child.on('error', () => resolve(null));
  });
  output.end();
  const printed = step.prints === undefined || text.split('\n').includes(step.prints);
  const ok = status === 0 && printed;
  const problem = ok ? '' : `${step.command.join(' ')} (status ${String(status)}):\n${ends(text)}`;
  return { name: step.name, ok, seconds: (Date.now() - started) / 1000, problem };
}

/**
 * The first and last lines of what a command printed: npm says what is wrong first, jest last.
 * @param {string} text
 */
function ends(text) {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('npm warn'));
  if (lines.length <= 20) return lines.join('\n');
  return [...lines.slice(0, 10), '...', ...lines.slice(-10)].join('\n');
}

/**
 * What is wrong with the installed package: sources or tests inside, the program or licence missing.
 * @param {string} consumer
 * @param {string} name
 */
function packageProblems(consumer, name) {
  const home = join(consumer, 'node_modules', name);
  if (!existsSync(home)) return ['the tarball was not installed'];
  const files = readdirSync(home, { recursive: true, encoding: 'utf8' });
  const unwanted = files.filter((file) =>
    /^(agent|test|scripts|node_modules)\b|\.(ts|map)$/.test(file),
  );
  const missing = [
    'dist/agent/cli/main.js',
    'LICENSE',
    'README.md',
    'CHANGELOG.md',
    // Of both platforms: a package made on one machine is installed on another.
    'vendor/tflite/linux-x64/libtensorflowlite_c.so',
    'vendor/tflite/linux-arm64/libtensorflowlite_c.so',
  ].filter((file) => !files.includes(file));
  return [
    ...unwanted.slice(0, 5).map((file) => `the tarball holds ${file}`),
    ...missing.map((file) => `the tarball lacks ${file}`),
  ];
}
