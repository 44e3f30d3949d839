import { usableMemoryBytes } from '../../hardware/memory.ts';
import type { EngineOptions } from '../../runtime/tensorrt/command.ts';
import { enginesFolder, obtainEngine, type Engine } from '../../runtime/tensorrt/engine.ts';
import { messageOf } from '../../util/errors.ts';
import type { Candidate } from '../types.ts';
import { digestOf, type EngineFile } from './files.ts';
import type { EngineTools } from './tools.ts';

/** A candidate with its engine. */
export interface Built {
  readonly file: EngineFile;
  readonly engine: Engine;
  readonly options: EngineOptions;
}

const MINUTE_MS = 60_000;
/** CPU and GPU share the memory of a Jetson; the rest is for the weights and the other programs. */
const WORKSPACE_SHARE = 0.5;
const WORKSPACE_BYTES = 2 ** 30;

/** Builds the engine of a file, or takes the kept one; a text says why there is none. */
export async function buildEngine(
  file: EngineFile,
  tools: EngineTools,
  again = false,
): Promise<Built | string> {
  if ('error' in file.file) return file.file.error;
  const { candidate } = file;
  const { subject, trtexec, hooks } = tools;
  const stop = sayHowLong(candidate, tools);
  try {
    const options = engineOptions(file, tools);
    const engine = await obtainEngine(trtexec, {
      onnx: file.file.path,
      digest: await digestOf(file.file),
      options,
      machine: machineOf(subject.facts.board),
      folder: enginesFolder(),
      again,
      signal: hooks.signal,
    });
    return { file, engine, options };
  } catch (error) {
    hooks.signal.throwIfAborted();
    return messageOf(error);
  } finally {
    stop();
  }
}

const machineOf = ({ id, compatible }: { id: string; compatible: readonly string[] }) =>
  [id, ...compatible].join(' ');

/** Building takes minutes, and says little meanwhile. */
function sayHowLong({ id }: Candidate, { hooks }: EngineTools): () => void {
  const phase = `building the engine of ${id.replace(/\/t\d+$/, '')}`;
  hooks.progress({ phase });
  let minutes = 0;
  const timer = setInterval(() => {
    minutes++;
    hooks.progress({ phase: `${phase} (${minutes} min so far)` });
  }, MINUTE_MS);
  return () => clearInterval(timer);
}

function engineOptions(
  { candidate, calibration }: EngineFile,
  { subject, feeds }: EngineTools,
): EngineOptions {
  const memory = usableMemoryBytes(subject.facts.memory);
  return {
    precision: candidate.precision,
    dla: candidate.dla ?? null,
    shapes: Object.fromEntries(
      subject.description.inputs
        .filter(({ shape }) => shape.some((size) => typeof size !== 'number'))
        .map(({ name }) => [name, feeds[name]?.shape ?? []]),
    ),
    workspaceBytes: memory === null ? WORKSPACE_BYTES : roundedDown(memory * WORKSPACE_SHARE),
    calibration,
  };
}

/** To a power of two: what is free changes from run to run, and kept engines are found by it. */
function roundedDown(bytes: number): number {
  return 2 ** Math.floor(Math.log2(Math.max(bytes, 2 ** 24)));
}
