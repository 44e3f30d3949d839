import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { codeOf } from '../../util/errors.ts';
import { RuntimeFailure } from '../errors.ts';
import { checkFeeds, sizeOf } from '../feeds.ts';
import type { Feeds, Outputs, Session, SessionDescription, Tensor } from '../types.ts';
import { runArguments, type EngineOptions } from './command.ts';
import { MAX_JSON_BYTES, parseOutputs, type ExportedOutput } from './json.ts';
import { runTrtexec } from './process.ts';
import { toFile, toTensor } from './tensors.ts';
import type { TensorRtVersion } from './version.ts';

/** All that a session needs, as data: it is sent to the process that reads the samples. */
export interface EngineSessionOptions {
  readonly trtexec: string;
  readonly version: TensorRtVersion | null;
  readonly engine: string;
  readonly shapes: EngineOptions['shapes'];
  /** Inputs and outputs of the model, as its float version has them. */
  readonly description: SessionDescription;
}

/** Loading an engine takes seconds on a Nano, and the program is started for every sample. */
const RUN_TIMEOUT_MS = 120_000;

/**
 * A built engine as a session. Every `run` starts trtexec once, which loads the engine: good for
 * scoring a few samples, not for timing.
 */
export async function openEngine(
  options: EngineSessionOptions,
  signal?: AbortSignal,
): Promise<Session> {
  const folder = await mkdtemp(join(tmpdir(), 'edgefit-tensorrt-'));
  return {
    describe: () => options.description,
    run: (feeds) => runOnce(options, folder, feeds, signal),
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

async function runOnce(
  { trtexec, version, engine, shapes, description }: EngineSessionOptions,
  folder: string,
  feeds: Feeds,
  signal: AbortSignal | undefined,
): Promise<Outputs> {
  checkFeeds(description.inputs, feeds);
  checkShapes(shapes, feeds);
  const inputs: Record<string, string> = {};
  for (const [at, [name, tensor]] of Object.entries(feeds).entries()) {
    const file = `input-${at}.bin`;
    // oxlint-disable-next-line no-await-in-loop -- a handful of inputs
    await writeFile(join(folder, file), toFile(name, tensor, version));
    inputs[name] = file;
  }
  const outputs = 'outputs.json';
  const path = join(folder, outputs);
  await rm(path, { force: true });
  const run = { engine, inputs, outputs, shapes };
  const doing = 'run a sample with TensorRT';
  const timeoutMs = RUN_TIMEOUT_MS;
  await runTrtexec(trtexec, runArguments(run), { doing, timeoutMs, signal, cwd: folder });
  return pairOutputs(description, parseOutputs(await readBounded(path)));
}

/** An engine takes the shapes it was built for, and no others. */
function checkShapes(shapes: EngineOptions['shapes'], feeds: Feeds): void {
  for (const [name, shape] of Object.entries(shapes)) {
    const given = feeds[name]?.shape ?? [];
    if (given.join('x') === shape.join('x')) continue;
    const message = `input '${name}': the engine was built for ${shape.join('x')}, and this sample has ${given.join('x')}`;
    throw new RuntimeFailure('BAD_INPUT', message);
  }
}

/** Reads a file that trtexec should have written. */
export async function readBounded(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_JSON_BYTES) {
      throw new RuntimeFailure('RUN_FAILED', `trtexec wrote ${size} bytes of JSON: too many`);
    }
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    const message = 'trtexec ended well but wrote no file: is the disk full?';
    throw new RuntimeFailure('RUN_FAILED', message, { cause: error });
  }
}

/** By name; where the engine has other names, in the order of the model. */
function pairOutputs(
  { outputs }: SessionDescription,
  exported: readonly ExportedOutput[],
): Outputs {
  const byName = new Map(exported.map((one) => [one.name, one]));
  const named = outputs.every(({ name }) => byName.has(name));
  if (!named && exported.length !== outputs.length) {
    const names = exported.map(({ name }) => name).join(', ');
    throw new RuntimeFailure(
      'RUN_FAILED',
      `the engine gave other outputs than the model: ${names}`,
    );
  }
  return Object.fromEntries(
    outputs.map(({ name, dtype }, at): [string, Tensor] => {
      const one = named ? byName.get(name) : exported[at];
      return [name, toTensor(dtype, checked(name, one))];
    }),
  );
}

function checked(name: string, output: ExportedOutput | undefined): ExportedOutput {
  if (output !== undefined && output.values.length === sizeOf(output.shape)) return output;
  const count = output?.values.length ?? 0;
  const shape = output?.shape.join('x') ?? '';
  const message = `trtexec gave ${count} values for output '${name}' of shape ${shape}`;
  throw new RuntimeFailure('RUN_FAILED', message);
}
