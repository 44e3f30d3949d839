import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { messageOf } from '../../../util/errors.ts';
import { PhaseError } from '../phase-work.ts';
import type { AgentRun, RunAgent } from './context.ts';
import type { Children } from './children.ts';

export interface ChildOptions {
  /** The program that is run: the built command line of the agent. */
  readonly program: string;
  /** The Node.js that runs it; this one by default. */
  readonly node?: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where temporary files go: what a killed child leaves there is removed at the next start. */
  readonly scratch: string;
  /** Remembers who runs, for a daemon that is killed and comes back. */
  readonly children: Children;
}

/** Above this a child has gone astray; reports have a few hundred kilobytes. */
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;
const MAX_COMPLAINT_CHARACTERS = 400;
/** From being asked to stop until it is stopped. */
const GRACE_MS = 1000;

/** What is for the daemon alone: its secrets, and the socket by which it tells systemd how it is. */
const NOT_INHERITED =
  /^(EDGEFIT_MQTT_.*|EDGEFIT_PASSPHRASE|NOTIFY_SOCKET|WATCHDOG_.*|CREDENTIALS_.*)$/;

/**
 * Runs the agent itself as a child in a process group of its own, all of which is gone when this
 * returns. Throws the signal's reason when aborted, PhaseError when it cannot start.
 */
export function agentRunner(options: ChildOptions): RunAgent {
  return async (args, signal) => {
    signal.throwIfAborted();
    const child = spawn(options.node ?? process.execPath, [options.program, ...args], {
      cwd: options.scratch,
      env: { ...inheritable(options.env), TMPDIR: options.scratch },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const stop = () => {
      stopGroup(child);
    };
    signal.addEventListener('abort', stop, { once: true });
    try {
      // Listened to from the start: a quick child may be gone before its note is written.
      const outcome = outcomeOf(child);
      outcome.catch(() => undefined);
      const forget = await options.children.remember(child.pid);
      const run = await outcome;
      await forget();
      signal.throwIfAborted();
      return run;
    } finally {
      signal.removeEventListener('abort', stop);
      killGroup(child, 'SIGKILL');
    }
  };
}

function inheritable(env: ChildOptions['env']): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !NOT_INHERITED.test(name)));
}

async function outcomeOf(child: ChildProcess): Promise<AgentRun> {
  const stdout = collect(child.stdout, () => {
    killGroup(child, 'SIGKILL');
  });
  const stderr = collect(child.stderr, () => {
    killGroup(child, 'SIGKILL');
  });
  try {
    await once(child, 'close');
    const { exitCode: code, signalCode: signal } = child;
    const lines = stderr().trim().split('\n');
    const complaint = (lines.at(-1) ?? '').replace(/^agent: /, '');
    return {
      code,
      signal,
      stdout: stdout(),
      complaint: complaint.slice(0, MAX_COMPLAINT_CHARACTERS),
    };
  } catch (cause) {
    const message = `the working process did not start: ${messageOf(cause)}`;
    throw new PhaseError('child_failed', message, { cause });
  }
}

function collect(stream: Readable | null, onTooMuch: () => void): () => string {
  const pieces: Buffer[] = [];
  let bytes = 0;
  stream?.on('data', (piece: Buffer) => {
    bytes += piece.length;
    if (bytes > MAX_OUTPUT_BYTES) onTooMuch();
    else pieces.push(piece);
  });
  return () => Buffer.concat(pieces).toString('utf8');
}

function stopGroup(child: ChildProcess): void {
  killGroup(child, 'SIGTERM');
  setTimeout(() => {
    killGroup(child, 'SIGKILL');
  }, GRACE_MS).unref();
}

/** The child and all that it has started. */
function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // The group is gone already.
  }
}

/** A run that ended well, or a PhaseError that says how it did not. */
export function mustEndWell(what: string, run: AgentRun): AgentRun {
  if (run.code === 0) return run;
  if (run.signal !== null) {
    throw new PhaseError('child_killed', `${what} was ended by ${run.signal}`);
  }
  const why = run.complaint === '' ? `exit code ${run.code ?? 0}` : run.complaint;
  throw new PhaseError(run.code === OBJECTIVE_MISSED ? 'gate_missed' : 'child_failed', why);
}

/** Exit code of the agent's commands: done, but an objective was not met. */
const OBJECTIVE_MISSED = 3;
