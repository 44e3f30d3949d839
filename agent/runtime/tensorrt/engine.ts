import { createHash, randomBytes } from 'node:crypto';
import { readFile, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { codeOf } from '../../util/errors.ts';
import { fileError, makeFolder } from '../../util/files.ts';
import { buildArguments, type EngineOptions } from './command.ts';
import { runTrtexec } from './process.ts';
import type { Trtexec } from './tool.ts';

/** An engine on disk: a model compiled for this GPU and this TensorRT, of no use anywhere else. */
export interface Engine {
  readonly path: string;
  readonly bytes: number;
  /** How long building took when it was built. */
  readonly buildSeconds: number;
  /** It was built by an earlier run. */
  readonly cached: boolean;
  readonly device: string | null;
  /** What its builder warned of. */
  readonly warnings: readonly string[];
  /** Layers on the DLA and on the GPU, as far as the builder said. */
  readonly placed: { readonly dla: number; readonly gpu: number };
}

export interface EngineRequest {
  readonly onnx: string;
  /** SHA-256 of the model and the files it refers to. */
  readonly digest: string;
  readonly options: EngineOptions;
  /** What this machine is: engines of one are not for another that shares the folder. */
  readonly machine: string;
  readonly folder: string;
  /** Build also where an engine is there. */
  readonly again?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** The environment variable that names the folder of engines and timing caches. */
export const ENGINES_VARIABLE = 'EDGEFIT_ENGINES';

/** Tactics of a large model are timed for an hour on a Nano. */
const BUILD_TIMEOUT_MS = 2 * 3600 * 1000;
/** Engines beyond are removed, the longest unused first: a bench of one model makes up to five. */
const MOST_ENGINES = 24;
const MOST_WARNINGS = 20;

const detailsSchema = z.object({
  buildSeconds: z.number(),
  device: z.string().nullable(),
  warnings: z.array(z.string()),
  placed: z.object({ dla: z.number(), gpu: z.number() }),
});

/** Where engines are kept: configured, the service's cache, the user's. */
export function enginesFolder(
  env: Readonly<Record<string, string | undefined>> = process.env,
): string {
  const configured = env[ENGINES_VARIABLE] ?? '';
  if (configured !== '') return configured;
  // systemd may give several folders, separated by colons.
  const service = env['CACHE_DIRECTORY']?.split(':')[0] ?? '';
  if (service !== '') return join(service, 'tensorrt');
  const own = env['XDG_CACHE_HOME'] ?? '';
  return join(own === '' ? join(homedir(), '.cache') : own, 'edgefit', 'tensorrt');
}

/** The engine for a model: the kept one, else built now. Throws RuntimeFailure or FileError. */
export async function obtainEngine(tool: Trtexec, request: EngineRequest): Promise<Engine> {
  const { folder } = request;
  await makeFolder(folder).catch((error: unknown) => {
    throw fileError(`make the folder of engines (${ENGINES_VARIABLE})`, folder, error);
  });
  const path = join(folder, `${keyOf(tool, request)}.engine`);
  const kept = request.again === true ? undefined : await readKept(path);
  const engine = kept ?? (await build(tool, request, path));
  await removeOldest(folder, basename(path));
  return engine;
}

/** Whatever changes the engine is in its name. */
function keyOf(tool: Trtexec, { digest, options, machine }: EngineRequest): string {
  const key = JSON.stringify([digest, options, machine, tool.identity]);
  return createHash('sha256').update(key).digest('hex').slice(0, 32);
}

async function readKept(path: string): Promise<Engine | undefined> {
  try {
    const [{ size: bytes }, text] = await Promise.all([
      stat(path),
      readFile(`${path}.json`, 'utf8'),
    ]);
    const now = new Date();
    await utimes(path, now, now);
    return { path, bytes, cached: true, ...detailsSchema.parse(JSON.parse(text)) };
  } catch {
    return undefined; // Not there or not whole: it is built again.
  }
}

async function build(tool: Trtexec, request: EngineRequest, path: string): Promise<Engine> {
  const { onnx, options, machine, folder, signal } = request;
  const part = join(folder, `.${randomBytes(6).toString('hex')}.part`);
  const calibration = options.calibration === undefined ? undefined : `${part}.calib`;
  const timingCache = join(folder, `timing-${shortHash(`${machine} ${tool.identity}`)}.cache`);
  const files = { onnx, engine: part, timingCache, calibration };
  try {
    if (calibration !== undefined) await writeFile(calibration, options.calibration ?? '');
    const run = await runTrtexec(tool.path, buildArguments(tool, files, options), {
      doing: `build an engine of ${basename(onnx)}`,
      timeoutMs: BUILD_TIMEOUT_MS,
      signal,
    });
    const { log } = run;
    const details = {
      buildSeconds: log.buildSeconds ?? run.seconds,
      device: log.device,
      warnings: [...new Set(log.warnings)].slice(0, MOST_WARNINGS),
      placed: log.placed,
    };
    const { size: bytes } = await stat(part);
    await writeFile(`${path}.json`, `${JSON.stringify(details)}\n`);
    await rename(part, path);
    return { path, bytes, cached: false, ...details };
  } catch (error) {
    if (codeOf(error)?.startsWith('E') === true) throw fileError('write', path, error);
    throw error;
  } finally {
    await Promise.all([part, `${part}.calib`].map((file) => rm(file, { force: true })));
  }
}

const shortHash = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 12);

async function removeOldest(folder: string, keep: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.engine') && name !== keep);
  if (names.length < MOST_ENGINES) return;
  const aged = await Promise.all(
    names.map(async (name) => {
      // Another run that shares the folder may have removed it meanwhile.
      const found = await stat(join(folder, name)).catch(() => null);
      return { name, ms: found?.mtimeMs ?? 0 };
    }),
  );
  const old = aged.toSorted((a, b) => b.ms - a.ms).slice(MOST_ENGINES - 1);
  await Promise.all(
    old.flatMap(({ name }) =>
      [name, `${name}.json`].map((file) => rm(join(folder, file), { force: true })),
    ),
  );
}
