import { spawn, type ChildProcess } from 'node:child_process';
import { resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../../..');
export const MAIN = resolve(ROOT, 'dist/agent/cli/main.js');

export interface Running {
  readonly child: ChildProcess;
  /** What the awaited line matched. */
  readonly found: RegExpExecArray;
  /** Everything it has written to stderr. */
  readonly complaint: () => string;
  readonly stop: (signal?: NodeJS.Signals) => Promise<void>;
}

interface Start {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly waitFor: RegExp;
  readonly withinMs: number;
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function stop(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (hasEnded(child)) return;
  const ended = new Promise((done) => {
    child.once('exit', done);
  });
  child.kill(signal);
  // One that does not listen to SIGTERM shall not outlive its test.
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await ended;
  clearTimeout(timer);
}

/** A child of Node.js, once stdout or stderr has said what is waited for. */
export async function startNode({ args, env, waitFor, withinMs }: Start): Promise<Running> {
  const child = spawn(process.execPath, [...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let complaint = '';
  const found = await new Promise<RegExpExecArray>((done, fail) => {
    const giveUp = (why: string) =>
      fail(new Error(`${args.join(' ')}: ${why}: ${complaint.slice(-2000)}`));
    const timer = setTimeout(() => giveUp('did not start in time'), withinMs);
    const look = () => {
      const match = waitFor.exec(out) ?? waitFor.exec(complaint);
      if (match === null) return;
      clearTimeout(timer);
      done(match);
    };
    child.stdout.on('data', (data) => {
      out += String(data);
      look();
    });
    child.stderr.on('data', (data) => {
      complaint += String(data);
      look();
    });
    child.once('exit', () => {
      clearTimeout(timer);
      giveUp('ended');
    });
  }).catch(async (error: unknown) => {
    await stop(child, 'SIGKILL');
    throw error;
  });
  return { child, found, complaint: () => complaint, stop: (signal) => stop(child, signal) };
}
