// @ts-check
// The browser tests of the dashboard: the built page in the system's Chromium, against the real server,
// a real mosquitto and a simulated fleet. Installs nothing; what is missing is an error here, not a
// reason to skip. The last line is `N passed, N failed`.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const root = dirname(import.meta.dirname);
const folder = mkdtempSync(join(tmpdir(), 'edgefit-e2e-'));
const report = join(folder, 'report.json');

/** @returns {{ passed: number, failed: number }} */
function figures() {
  try {
    const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites } = JSON.parse(
      readFileSync(report, 'utf8'),
    );
    return { passed: numPassedTests, failed: numFailedTests + numRuntimeErrorTestSuites };
  } catch {
    // It ended before it could write a report.
    return { passed: 0, failed: 1 };
  }
}

function run() {
  const built = spawnSync(process.execPath, ['scripts/build.js'], { cwd: root, stdio: 'inherit' });
  if (built.status !== 0) return { passed: 0, failed: 1 };
  const jest = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'].concat(
    'node_modules/jest/bin/jest.js',
    ['test/browser', '--runInBand', '--json', `--outputFile=${report}`],
  );
  // The report goes to a file; what jest tells people goes to stderr.
  const done = spawnSync(process.execPath, jest, {
    cwd: root,
    env: { ...process.env, EDGEFIT_BROWSER: '1', EDGEFIT_REQUIRE: 'chromium,mosquitto' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const { passed, failed } = figures();
  return { passed, failed: failed === 0 && done.status !== 0 ? 1 : failed };
}

const { passed, failed } = run();
rmSync(folder, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
