import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { builtModule } from '../../agent/util/paths.ts';
import { afterThisTest } from '../fleet/support/harness.ts';

const DEADLINE_MS = 20_000;

export interface RunningDaemon {
  readonly child: ChildProcess;
  readonly state: string;
  readonly log: () => string;
  /** Resolves with the exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
}

/** A folder that goes away after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'edgefit-daemon-'));
  afterThisTest(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The built daemon as a child process, with this configuration. */
export function startDaemon(
  yaml: string,
  { env = {}, state = temporaryFolder() }: { env?: Record<string, string>; state?: string } = {},
): RunningDaemon {
  const config = join(state, 'agent.yaml');
  writeFileSync(config, yaml);
  const child = spawn(process.execPath, [builtModule('cli/main'), 'run', '--config', config], {
    env: { PATH: process.env['PATH'], EDGEFIT_STATE_DIR: state, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let text = '';
  child.stderr?.on('data', (chunk) => (text += String(chunk)));
  const ended = once(child, 'close').then(([code, signal]) => {
    return typeof code === 'number' ? code : String(signal);
  });
  afterThisTest(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return { child, state, log: () => text, ended };
}

/** Waits until `check` gives something. */
export async function until<T>(
  what: string,
  check: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = DEADLINE_MS,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  while (Date.now() < deadline) {
    // oxlint-disable-next-line no-await-in-loop -- polling
    const found = await check();
    if (found !== undefined && found !== false) return found;
    // oxlint-disable-next-line no-await-in-loop -- polling
    await sleep(20);
  }
  throw new Error(`waited in vain for ${what}`);
}
