import { rmSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileError } from '../util/files.ts';

/** A folder for candidates, intermediate files and the temporary files of children of one run. */
export interface Scratch {
  readonly folder: string;
  file(name: string): string;
  remove(): Promise<void>;
}

const REMOVE = { recursive: true, force: true, maxRetries: 3 } as const;

/** Makes the folder; it goes when it is removed, and also when the program ends without doing so. */
export async function makeScratch(): Promise<Scratch> {
  const folder = await mkdtemp(join(tmpdir(), 'edgefit-')).catch((error: unknown) => {
    throw fileError('make a working folder (TMPDIR) in', tmpdir(), error);
  });
  const atExit = () => rmSync(folder, REMOVE);
  process.once('exit', atExit);
  return {
    folder,
    file: (name) => join(folder, name.replaceAll(/[^A-Za-z0-9._-]/g, '-')),
    remove: async () => {
      await rm(folder, REMOVE);
      process.removeListener('exit', atExit);
    },
  };
}

/** Writes a file that is gone with the run: nothing is synced. Throws FileError. */
export async function writeScratchFile(path: string, chunks: Iterable<Uint8Array>): Promise<void> {
  await writeFile(path, chunks).catch((error: unknown) => {
    throw fileError('write', path, error);
  });
}

/** Runs something with a scratch folder that is gone afterwards. */
export async function withScratch<T>(use: (scratch: Scratch) => Promise<T>): Promise<T> {
  const scratch = await makeScratch();
  try {
    return await use(scratch);
  } finally {
    await scratch.remove();
  }
}
