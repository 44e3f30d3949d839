import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../util/errors.ts';
import { guarded, keepTrack, peakRssOf } from '../children.ts';
import { crashFailure } from '../crash.ts';
import { RuntimeFailure } from '../errors.ts';
import { explainFailure } from './failures.ts';
import { LogReader, type TrtexecLog } from './log.ts';

export interface RunOptions {
  /** For messages: `build an engine of model.onnx`. */
  readonly doing: string;
  /** The program is killed when it takes longer. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Files may then be named relative to it: names in options must not hold commas or colons. */
  readonly cwd?: string | undefined;
}

export interface TrtexecRun {
  readonly log: TrtexecLog;
  /** The beginning of the output, for `--help`. */
  readonly head: string;
  readonly seconds: number;
  /** When the inferences that count were made, on the clock of `performance.now`; null if it did not say. */
  readonly inferring: { readonly startMs: number; readonly endMs: number } | null;
  /** Of the program itself: what the GPU's driver holds is not in it. */
  readonly peakRssBytes: number | null;
}

/** Enough for every `--help` so far. */
const HEAD_CHARACTERS = 128 * 1024;
const TAIL_CHARACTERS = 16 * 1024;
/** A line without an end is no line of ours. */
const LONGEST_LINE = 64 * 1024;
const POLL_MS = 50;
const TRACED = '] Timing trace has ';
const KILL_AFTER_MS = 2000;

/**
 * Runs trtexec to its end and reads what it writes. Throws a RuntimeFailure when it fails, crashes,
 * takes too long (HUNG) or is aborted: the whole process group is gone then.
 */
export async function runTrtexec(
  path: string,
  args: readonly string[],
  options: RunOptions,
): Promise<TrtexecRun> {
  const { doing, timeoutMs, signal, cwd } = options;
  if (signal?.aborted === true) throw aborted(doing);
  const started = performance.now();
  const [command, ...before] = guarded(path);
  const child = spawn(command, [...before, ...args], {
    cwd,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  keepTrack(child);
  const output = new Output();
  const read = [child.stdout, child.stderr].map((stream) => output.read(stream));
  const memory = watchMemory(child);
  let ended: RuntimeFailure | undefined;
  const end = (failure: RuntimeFailure) => {
    ended ??= failure;
    void endGroup(child);
  };
  const abort = () => end(aborted(doing));
  signal?.addEventListener('abort', abort, { once: true });
  const timer = setTimeout(() => end(hung(doing, timeoutMs)), timeoutMs);
  try {
    const exit = await exitOf(child, doing);
    await Promise.race([Promise.all(read), sleep(KILL_AFTER_MS, undefined, { ref: false })]);
    if (ended !== undefined) throw ended;
    const log = output.log();
    if (exit.code !== 0 || log.status === 'failed') throw failureOf(doing, exit, output, log);
    const seconds = (performance.now() - started) / 1000;
    const inferring = output.inferring();
    return { log, head: output.head, seconds, inferring, peakRssBytes: memory.peak() };
  } finally {
    clearTimeout(timer);
    memory.stop();
    signal?.removeEventListener('abort', abort);
  }
}

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

function exitOf(child: ChildProcess, doing: string): Promise<Exit> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      const message = `cannot ${doing}: trtexec does not start: ${messageOf(error)}`;
      reject(new RuntimeFailure('START_FAILED', message, { cause: error }));
    });
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
}

function failureOf(doing: string, exit: Exit, output: Output, log: TrtexecLog): RuntimeFailure {
  const text = `${log.errors.join('\n')}\n${output.tail}`;
  const explained = explainFailure(doing, text, log.errors);
  const isKnown = explained.code !== 'RUN_FAILED' || log.errors.length > 0;
  if (exit.signal === null && (exit.code ?? 0) < 128) return explained;
  // Asserts abort the program after they have said why.
  return exit.signal !== 'SIGKILL' && isKnown
    ? explained
    : crashFailure(`trtexec (${doing})`, exit, output.tail);
}

const aborted = (doing: string) => new RuntimeFailure('ABORTED', `aborted: ${doing}`);

function hung(doing: string, timeoutMs: number): RuntimeFailure {
  const message = `cannot ${doing}: trtexec did not end within ${timeoutMs / 1000} s and was killed`;
  return new RuntimeFailure('HUNG', message);
}

/** Both streams, line by line; what is kept is bounded. */
class Output {
  head = '';
  tail = '';
  private readonly reader = new LogReader();
  private tracedAtMs: number | null = null;

  async read(stream: Readable): Promise<void> {
    const lines = createInterface({ input: stream, crlfDelay: Infinity });
    for await (const line of lines) this.add(line.slice(0, LONGEST_LINE));
  }

  private add(line: string): void {
    if (this.head.length < HEAD_CHARACTERS) this.head += `${line}\n`;
    this.tail = `${this.tail}${line}\n`.slice(-TAIL_CHARACTERS);
    this.reader.add(line);
    if (line.includes(TRACED)) this.tracedAtMs ??= performance.now();
  }

  /** How long the trace took is said right behind it. */
  inferring(): TrtexecRun['inferring'] {
    const { traceSeconds } = this.reader.result();
    const endMs = this.tracedAtMs;
    if (traceSeconds === null || endMs === null) return null;
    return { startMs: endMs - traceSeconds * 1000, endMs };
  }

  log(): TrtexecLog {
    return this.reader.result();
  }
}

function watchMemory({ pid }: ChildProcess): { peak: () => number | null; stop: () => void } {
  let peak = 0;
  const look = () => {
    peak = Math.max(peak, pid === undefined ? 0 : (peakRssOf(pid) ?? 0));
  };
  const timer = setInterval(look, POLL_MS).unref();
  return { peak: () => (peak === 0 ? null : peak), stop: () => clearInterval(timer) };
}

async function endGroup(child: ChildProcess): Promise<void> {
  killGroup(child, 'SIGTERM');
  await sleep(KILL_AFTER_MS, undefined, { ref: false });
  killGroup(child, 'SIGKILL');
}

function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // The whole group has gone already.
  }
}
