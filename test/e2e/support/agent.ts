import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { jest } from '@jest/globals';
import { builtModule } from '../../../agent/util/paths.ts';

/** The built program as a child process, and what it leaves behind. Every wait ends. */

const DEADLINE_MS = 60_000;
/** Above the deadline of a run, however busy the machine: a test of several runs says its own. */
jest.setTimeout(DEADLINE_MS + 10_000);
/** How long children may take to die after the agent. */
const REAP_MS = 3000;

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly deadlineMs?: number;
  /** A program, and its arguments, that starts the agent. */
  readonly through?: readonly string[];
}

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
  /** stderr without lines of progress. */
  readonly said: readonly string[];
  /** Names that the run left in its private temporary folder. */
  readonly leftFiles: readonly string[];
  /** Command lines of processes that outlived the run. */
  readonly leftProcesses: readonly string[];
}

export interface Running {
  readonly child: ChildProcess;
  /** Private temporary folder of this run. */
  readonly temp: string;
  /** Process ids of the run's child processes. */
  readonly children: () => readonly number[];
  /** Resolves to the id of a child process whose command line matches. */
  readonly childNamed: (pattern: RegExp) => Promise<number>;
  /** Resolves when stderr matches. */
  readonly until: (pattern: RegExp) => Promise<void>;
  /** Resolves when the program has ended and its leftovers have been counted. */
  readonly ended: Promise<Ran>;
}

const MARK = 'EDGEFIT_TEST_RUN';
const PROGRESS =
  /^agent: (reading|preparing|calibrating|judging|loading|measuring|checking|folding|scoring|looking|timing|correcting|copying|hashing|quantizing|compiling|building)\b[^:]*$/;

const folders: string[] = [];

/** A folder that `removeFolders` removes. */
export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'edgefit-e2e-'));
  folders.push(folder);
  return folder;
}

/** For `afterAll`. */
export function removeFolders(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}

/** Runs a command line to its end. */
export function agent(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return startAgent(args, options).ended;
}

/** Starts a command line; the test decides how it ends. */
export function startAgent(args: readonly string[], options: RunOptions = {}): Running {
  const temp = makeFolder();
  const mark = randomUUID();
  const node = [process.execPath, builtModule('cli/main'), ...args];
  const [program = '', ...rest] = [...(options.through ?? []), ...node];
  const child = spawn(program, rest, {
    cwd: options.cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      HOME: temp,
      TMPDIR: temp,
      EDGEFIT_STATE_DIR: join(temp, 'state'),
      ...options.env,
      [MARK]: mark,
    },
  });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const deadline = setTimeout(() => child.kill('SIGKILL'), options.deadlineMs ?? DEADLINE_MS);
  const finish = async (): Promise<Ran> => {
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    clearTimeout(deadline);
    return {
      code,
      signal,
      out,
      err,
      said: err.split('\n').filter((line) => line !== '' && !PROGRESS.test(line)),
      leftProcesses: await survivors(mark),
      leftFiles: readdirSync(temp),
    };
  };
  const children = () => marked(mark).filter((pid) => pid !== child.pid);
  const waitFor = async <T>(what: RegExp, look: () => T | undefined): Promise<T> => {
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`the agent ended without ${what}: ${err}`);
      }
      // oxlint-disable-next-line no-await-in-loop -- polling; the run's deadline ends it
      await sleep(5);
    }
  };
  return {
    child,
    temp,
    children,
    childNamed: (pattern) =>
      waitFor(pattern, () => children().find((pid) => pattern.test(commandLine(pid)))),
    until: async (pattern) => {
      await waitFor(pattern, () => (pattern.test(err) ? true : undefined));
    },
    ended: finish(),
  };
}

/** Command lines of marked processes that are still there after a while. */
async function survivors(mark: string): Promise<string[]> {
  const end = Date.now() + REAP_MS;
  // oxlint-disable-next-line no-await-in-loop -- polling
  while (marked(mark).length > 0 && Date.now() < end) await sleep(20);
  return marked(mark).map(commandLine);
}

/** Processes whose environment carries the mark: every descendant inherits it. */
function marked(mark: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => readProc(pid, 'environ').includes(`${MARK}=${mark}`))
    .map(Number);
}

function commandLine(pid: number): string {
  return readProc(String(pid), 'cmdline').replaceAll('\0', ' ').trim();
}

function readProc(pid: string, file: string): string {
  try {
    return readFileSync(join('/proc', pid, file), 'utf8');
  } catch {
    // It ended meanwhile, or belongs to somebody else.
    return '';
  }
}
