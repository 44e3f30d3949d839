import { randomBytes } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { messageOf } from '../util/errors.ts';
import { makeFolder } from '../util/files.ts';

/** One part of the daemon that can be asked whether it still works. Rejects when it does not. */
export interface Probe {
  readonly name: string;
  readonly check: () => Promise<void>;
}

export interface Liveness {
  readonly alive: boolean;
  /** The probe that failed or was silent, and why. */
  readonly problem: string | null;
}

/** Asks every part and waits for every answer; a part that is silent for `timeoutMs` is dead. */
export async function checkLiveness(
  probes: readonly Probe[],
  timeoutMs: number,
): Promise<Liveness> {
  const answers = await Promise.all(probes.map((probe) => ask(probe, timeoutMs)));
  const problem = answers.find((answer) => answer !== null) ?? null;
  return { alive: problem === null, problem };
}

async function ask({ name, check }: Probe, timeoutMs: number): Promise<string | null> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`${name}: no answer within ${timeoutMs} ms`), timeoutMs);
  });
  try {
    return await Promise.race([check().then(() => null), silence]);
  } catch (error) {
    return `${name}: ${messageOf(error)}`;
  } finally {
    clearTimeout(timer);
  }
}

/** The event loop goes round: callbacks of sockets and of files that are ready have had their turn. */
export const eventLoopProbe: Probe = {
  name: 'event loop',
  check: async () => {
    await setImmediate();
    await setImmediate();
  },
};

/** Node's worker threads and the file system answer: what is written can be read again. */
export function workerProbe(folder: string): Probe {
  const path = join(folder, 'heartbeat');
  return {
    name: 'worker threads',
    check: async () => {
      const beat = randomBytes(8).toString('hex');
      await makeFolder(folder);
      await writeFile(path, beat);
      const read = await readFile(path, 'utf8');
      if (read !== beat) throw new Error(`${path} does not hold what was written`);
    },
  };
}

/** Leaves nothing in a runtime folder that systemd does not clean up. */
export async function removeHeartbeat(folder: string): Promise<void> {
  await rm(join(folder, 'heartbeat'), { force: true });
}
