import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const PROGRAM = resolve(import.meta.dirname, 'trtexec/stand-in.js');

export interface StandInSettings {
  /** `8.5.2` */
  readonly version?: string;
  /** Latency in INT8; in FP16 it is 2.5 ms. */
  readonly int8Ms?: number;
  /** How long inferences really take while latency is measured; nothing by default. */
  readonly lastsSeconds?: number;
  readonly fail?: 'build' | 'memory' | 'kill' | 'hang' | 'int8' | 'load' | 'export';
}

export interface StandIn {
  /** A program that behaves as trtexec of that version. */
  readonly path: string;
  readonly folder: string;
  /** Every command line it was started with. */
  readonly calls: () => Promise<readonly string[]>;
  /** The same program with other settings: an update, or a machine that breaks. */
  readonly become: (settings: StandInSettings) => Promise<void>;
  readonly remove: () => Promise<void>;
}

/** Makes a stand-in for trtexec in a folder of its own. It computes with what `npm run build` made. */
export async function makeStandIn(settings: StandInSettings = {}): Promise<StandIn> {
  const folder = await mkdtemp(join(tmpdir(), 'edgefit-trtexec-'));
  const path = join(folder, 'trtexec');
  const log = join(folder, 'calls.log');
  const become = async (next: StandInSettings) => {
    const text = JSON.stringify({ ...next, log });
    // onnxruntime would leave files of its own in the temporary folder.
    const program = `ORT_DISABLE_TELEMETRY=1 exec '${process.execPath}' '${PROGRAM}' '${text}' "$@"`;
    await writeFile(path, `#!/bin/sh\n${program}\n`);
    await chmod(path, 0o755);
  };
  await become(settings);
  return {
    path,
    folder,
    calls: async () => (await readFile(log, 'utf8').catch(() => '')).split('\n').slice(0, -1),
    become,
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
