import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * The process groups that this daemon has started, a small file each. A daemon that is killed cannot
 * take its children with it; without systemd they would go on, beside those of the next start.
 */
export class Children {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Ends what a former daemon has left running. */
  async endOrphans(): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    for (const name of await readdir(this.#folder)) {
      const path = join(this.#folder, name);
      // oxlint-disable-next-line no-await-in-loop -- one or two
      const started = await readFile(path, 'utf8');
      // oxlint-disable-next-line no-await-in-loop -- see above
      const now = await startOf(Number(name));
      // A number is given to other processes again; the start time tells them apart.
      if (now !== null && now === started) endGroup(Number(name));
      // oxlint-disable-next-line no-await-in-loop -- see above
      await rm(path, { force: true });
    }
  }

  /** Notes a child; resolves to what forgets it again. */
  async remember(pid: number | undefined): Promise<() => Promise<void>> {
    const started = pid === undefined ? null : await startOf(pid);
    if (pid === undefined || started === null) return async () => undefined;
    const path = join(this.#folder, String(pid));
    // Without the note it still runs well; the worst is an orphan after a crash.
    await writeFile(path, started).catch(() => undefined);
    return async () => {
      await rm(path, { force: true });
    };
  }
}

/** When a process started, in clock ticks since boot (field 22 of proc_pid_stat(5)); null if gone. */
async function startOf(pid: number): Promise<string | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  if (text === null) return null;
  // The name in parentheses may hold spaces.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields[19] ?? null;
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}
