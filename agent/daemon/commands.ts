import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { messageOf } from '../util/errors.ts';

export interface CommandResult {
  readonly ok: boolean;
  /** The last line it said, or what became of it. */
  readonly text: string;
}

export interface CommandOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

const MAX_TEXT_CHARACTERS = 200;

/**
 * Runs a shell command of the configuration in a process group of its own, all of which is gone when
 * this returns. Never rejects.
 */
export async function runShell(command: string, options: CommandOptions): Promise<CommandResult> {
  const timeout = AbortSignal.timeout(options.timeoutMs);
  const signal =
    options.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout]);
  const child = spawn('/bin/sh', ['-c', command], {
    env: { ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const end = () => {
    endGroup(child.pid);
  };
  signal.addEventListener('abort', end, { once: true });
  let said = '';
  const listen = (piece: Buffer) => {
    said = `${said}${piece.toString()}`.slice(-1000);
  };
  child.stdout.on('data', listen);
  child.stderr.on('data', listen);
  try {
    // Not `close`: what it leaves in the background may keep the pipes open.
    await once(child, 'exit');
    const { exitCode: code } = child;
    if (timeout.aborted) return { ok: false, text: `it took longer than ${options.timeoutMs} ms` };
    const line = said.trim().split('\n').at(-1) ?? '';
    const text = line === '' ? `exit code ${code ?? 'none'}` : line.slice(0, MAX_TEXT_CHARACTERS);
    return { ok: code === 0, text };
  } catch (error) {
    return { ok: false, text: messageOf(error) };
  } finally {
    signal.removeEventListener('abort', end);
    end();
  }
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The group is gone already.
  }
}
