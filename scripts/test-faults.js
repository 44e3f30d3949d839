import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

/*
 * The fault tests of jobs on a device (test/faults), all of them: every phase with every fault, every
 * disk that a power cut may leave, and a daemon that is killed again and again.
 *
 *     node scripts/test-faults.js [--kills N] [--json]
 *
 * The matrix goes to stderr. With --json stdout gets one line of JSON and nothing else. Needs a build,
 * and mosquitto; a full disk is tried where root may mount a tmpfs.
 */

const DEFAULT_KILLS = '500';
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    kills: { type: 'string', default: DEFAULT_KILLS },
  },
});
if (!/^[1-9]\d{0,5}$/.test(values.kills)) {
  process.stderr.write(`--kills ${values.kills} is no number of kills: use 1 to 999999\n`);
  process.exit(2);
}

/** @typedef {{ cases: number, passed: number, kills: number, invalid: number, lost: number, duplicateActivations: number }} Results */

const folder = mkdtempSync(join(tmpdir(), 'edgefit-test-faults-'));
const output = join(folder, 'results');
const ran = spawnSync('npm', ['run', '--silent', 'jest', '--', '--runInBand', 'test/faults'], {
  env: { ...process.env, EDGEFIT_FAULTS_OUTPUT: output, EDGEFIT_FAULTS_KILLS: values.kills },
  stdio: ['ignore', 'pipe', 'inherit'],
  maxBuffer: MAX_OUTPUT_BYTES,
});
const results = sumOf(output);
rmSync(folder, { recursive: true });
const line = values.json
  ? JSON.stringify(results)
  : `${results.passed} of ${results.cases} cases passed; ${results.kills} kills: ${results.invalid} invalid states, ${results.lost} lost jobs, ${results.duplicateActivations} duplicate activations`;
process.stdout.write(`${line}\n`);
process.exitCode = ran.status === 0 && results.passed === results.cases ? 0 : 1;

/**
 * @param {string} path a line of JSON from each suite
 * @returns {Results}
 */
function sumOf(path) {
  const sum = { cases: 0, passed: 0, kills: 0, invalid: 0, lost: 0, duplicateActivations: 0 };
  for (const text of linesOf(path)) {
    /** @type {Partial<Results>} */
    const found = JSON.parse(text);
    sum.cases += found.cases ?? 0;
    sum.passed += found.passed ?? 0;
    sum.kills += found.kills ?? 0;
    sum.invalid += found.invalid ?? 0;
    sum.lost += found.lost ?? 0;
    sum.duplicateActivations += found.duplicateActivations ?? 0;
  }
  return sum;
}

/** @param {string} path */
function linesOf(path) {
  try {
    return readFileSync(path, 'utf8').trim().split('\n');
  } catch {
    // No suite came so far.
    return [];
  }
}
