import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { shippedPath } from '../../agent/util/paths.ts';
import { afterThisTest } from '../fleet/support/harness.ts';

export interface Supervised {
  readonly log: () => string;
  readonly starts: () => number;
  /** Ends the daemon at once, as the kernel would; it is started again. */
  readonly kill: () => void;
}

/** The daemon by its launcher, started again whenever it ends, as systemd would. */
export function supervise(yaml: string, state: string): Supervised {
  const config = join(state, 'agent.yaml');
  writeFileSync(config, yaml);
  const env = { PATH: process.env['PATH'], STATE_DIRECTORY: state };
  let [text, starts] = ['', 0];
  const over = new AbortController();
  let child: ChildProcess | null = null;
  const run = async () => {
    while (!over.signal.aborted) {
      starts += 1;
      child = spawn(shippedPath('systemd/launcher'), ['run', '--config', config], {
        env,
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      child.stderr?.on('data', (chunk) => (text += String(chunk)));
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const [code] = (await once(child, 'close')) as [number | null];
      // RestartPreventExitStatus
      if (code === 78) return;
      // oxlint-disable-next-line no-await-in-loop -- RestartSec
      await sleep(50);
    }
  };
  const ended = run();
  afterThisTest(async () => {
    over.abort();
    child?.kill('SIGKILL');
    await ended;
  });
  return {
    log: () => text,
    starts: () => starts,
    kill: () => {
      child?.kill('SIGKILL');
    },
  };
}
