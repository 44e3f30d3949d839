import { stat } from 'node:fs/promises';
import { RuntimeFailure } from '../errors.ts';
import { runTrtexec } from './process.ts';
import { versionText, type TensorRtVersion } from './version.ts';

/** A trtexec, and what it takes: options come and go with versions, so its own help decides. */
export interface Trtexec {
  readonly path: string;
  /** Null where its banner does not say. */
  readonly version: TensorRtVersion | null;
  /** `--fp16`, `--skipInference`, ... */
  readonly options: ReadonlySet<string>;
  /** What engines of it are kept apart by. */
  readonly identity: string;
}

/** It loads CUDA's libraries from a slow card. */
const HELP_TIMEOUT_MS = 60_000;

/** Asks a trtexec what it is. Throws a RuntimeFailure when it does not run here. */
export async function askTrtexec(path: string, signal?: AbortSignal): Promise<Trtexec> {
  const options = { doing: `ask ${path} for its options`, timeoutMs: HELP_TIMEOUT_MS, signal };
  const { head, log } = await runTrtexec(path, ['--help'], options);
  const known = optionsIn(head);
  if (!known.has('--onnx') || !known.has('--loadEngine')) {
    const message = `${path} is no trtexec: its --help names neither --onnx nor --loadEngine`;
    throw new RuntimeFailure('START_FAILED', message);
  }
  const { version } = log;
  const { size, mtimeMs } = await stat(path);
  const identity =
    version === null ? `unknown-${size}-${Math.round(mtimeMs)}` : versionText(version);
  return { path, version, options: known, identity };
}

/** The names of options in a help text. */
export function optionsIn(help: string): ReadonlySet<string> {
  return new Set(help.match(/--[A-Za-z][A-Za-z0-9]*/g));
}
