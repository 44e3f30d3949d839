import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileError } from '../util/files.ts';

/** A folder for candidates and intermediate files of one run. */
export interface Scratch {
  file(name: string): string;
  remove(): Promise<void>;
}

export async function makeScratch(): Promise<Scratch> {
  const folder = await mkdtemp(join(tmpdir(), 'edgefit-')).catch((error: unknown) => {
    throw fileError('make a working folder in', tmpdir(), error);
  });
  return {
    file: (name) => join(folder, name.replaceAll(/[^A-Za-z0-9._-]/g, '-')),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
