import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileError, writeFileDurably } from '../util/files.ts';
import { download } from './download/download.ts';
import { addressOf, TARGETS } from './tuf/layout.ts';
import { refresh } from './tuf/refresh.ts';
import type { TrustedTarget, TrustedTargets } from './tuf/trusted-targets.ts';

export interface CheckOptions {
  readonly url: string;
  /** The root that devices are enrolled with. */
  readonly rootFile: string;
  readonly model?: string | undefined;
  readonly version?: string | undefined;
  readonly signal: AbortSignal;
  readonly onFile?: (done: number, of: number) => void;
}

export interface Checked {
  readonly trusted: TrustedTargets;
  /** Files that were downloaded and are what was signed. */
  readonly files: readonly TrustedTarget[];
}

/**
 * Reads a repository as a device would, from the same first root, and downloads the files of a release
 * (all files without one) under their hash. Throws NotTrusted with the code a device would report.
 */
export async function checkRepository(options: CheckOptions): Promise<Checked> {
  const folder = await mkdtemp(join(tmpdir(), 'edgefit-verify-'));
  try {
    const root = await readFile(options.rootFile).catch((error: unknown) => {
      throw fileError('read', options.rootFile, error);
    });
    await writeFileDurably(join(folder, 'root.json'), root);
    const { url, signal } = options;
    const trusted = await refresh({ folder, url, nowMs: Date.now(), signal });
    const files = wanted(trusted, options);
    for (const [index, file] of files.entries()) {
      options.onFile?.(index, files.length);
      // oxlint-disable-next-line no-await-in-loop -- one connection, bounded disk
      await fetchOne(folder, file, options);
    }
    return { trusted, files };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function wanted(trusted: TrustedTargets, { model, version }: CheckOptions) {
  if (model === undefined) return trusted.all();
  return trusted.all().filter(({ path }) => {
    const [, name, release] = path.split('/');
    return name === model && (version === undefined || release === version);
  });
}

async function fetchOne(folder: string, file: TrustedTarget, { url, signal }: CheckOptions) {
  const path = join(folder, 'file');
  const address = addressOf(url, TARGETS, file.stored);
  await download(path, { url: address, bytes: file.bytes, sha256: file.sha256 }, { signal });
  await rm(path);
}
