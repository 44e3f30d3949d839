import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { basename, delimiter, isAbsolute, join } from 'node:path';
import type { CompilerReport } from '../../contracts/pack.ts';
import { messageOf } from '../../util/errors.ts';
import { compilerWords, parseCompilerLog } from './compiler-log.ts';
import { PackError } from './errors.ts';

export const COMPILER = 'edgetpu_compiler';

/** It ends by itself after three minutes; a large model may need them, and loading beside. */
const TIMEOUT_MS = 300_000;
/** Beyond this it is not a log any more. */
const MAX_OUTPUT = 1_000_000;

/** The compiler on a PATH, or undefined. Relative folders of a PATH are passed over. */
export async function findCompiler(path: string | undefined): Promise<string | undefined> {
  const folders = (path ?? '').split(delimiter).filter((folder) => isAbsolute(folder));
  for (const folder of folders) {
    const program = join(folder, COMPILER);
    // oxlint-disable-next-line no-await-in-loop -- the first one counts
    const runs = await access(program, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (runs) return program;
  }
  return undefined;
}

export interface Compiled {
  readonly path: string;
  readonly report: CompilerReport;
  /** Operators of the given file that the chip runs. */
  readonly mapped: number | null;
}

export interface CompileOptions {
  readonly program: string;
  /** An integer-only .tflite. */
  readonly model: string;
  /** Gets `NAME_edgetpu.tflite` and the log. */
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly timeoutMs?: number | undefined;
}

/** Compiles a model for the Edge TPU. Throws PackError with the compiler's own words. */
export async function compileForEdgeTpu(options: CompileOptions): Promise<Compiled> {
  const { model, folder } = options;
  const started = performance.now();
  const said = await run(options);
  const stem = basename(model, '.tflite');
  const path = join(folder, `${stem}_edgetpu.tflite`);
  if (
    !(await access(path).then(
      () => true,
      () => false,
    ))
  ) {
    throw failed(`${COMPILER} wrote no ${basename(path)}: ${compilerWords(said)}`);
  }
  // Of the same content as what it prints; some versions print less.
  const log = await readFile(join(folder, `${stem}_edgetpu.log`), 'utf8').catch(() => '');
  const { mapped, ...report } = parseCompilerLog(
    /^\w+\s+\d+\s+\S/m.test(said) ? said : `${said}\n${log}`,
  );
  const seconds = (performance.now() - started) / 1000;
  return { path, mapped, report: { ...report, seconds } };
}

async function run(options: CompileOptions): Promise<string> {
  const { program, model, folder, signal, timeoutMs = TIMEOUT_MS } = options;
  signal.throwIfAborted();
  // A process group of its own: the compiler works in a child, which must end with it.
  const child = spawn(program, ['-s', '-o', folder, model], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const end = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  };
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      if (said.length < MAX_OUTPUT) said += text;
    });
  }
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    end();
  }, timeoutMs);
  signal.addEventListener('abort', end, { once: true });
  try {
    const { code, signal: by, error } = await endOf(child);
    signal.throwIfAborted();
    if (error !== undefined) throw failed(`cannot start ${program}: ${messageOf(error)}`, error);
    if (late) {
      const words = compilerWords(said);
      throw failed(`${COMPILER} was ended after ${timeoutMs / 1000} s without a result: ${words}`);
    }
    if (code !== 0) {
      const how = code === null ? `ended by ${by}` : `exit code ${code}`;
      throw failed(`${COMPILER} failed on ${basename(model)} (${how}): ${compilerWords(said)}`);
    }
    return said;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }
}

interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly error?: Error;
}

function endOf(child: ReturnType<typeof spawn>): Promise<End> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: null, signal: null, error }));
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
}

function failed(message: string, cause?: unknown): PackError {
  return new PackError('compiler-failed', message, { cause, kind: 'failure' });
}
