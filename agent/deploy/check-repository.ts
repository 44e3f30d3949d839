import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeFileDurably } from '../util/files.ts';
import { readNamedFile } from '../util/read.ts';
import { TrustError } from './errors.ts';
import { download } from './download/download.ts';
import { addressOf, TARGETS } from './tuf/layout.ts';
import { NotTrusted } from './tuf/refused.ts';
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
 * (all files without one) under their hash. Throws NotTrusted with the code a device would report,
 * TrustError for what is no address.
 */
export async function checkRepository(options: CheckOptions): Promise<Checked> {
  checkAddress(options.url);
  const folder = await mkdtemp(join(tmpdir(), 'edgefit-verify-'));
  try {
    const root = await readNamedFile(options.rootFile);
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

function checkAddress(url: string): void {
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return;
  const message = `${JSON.stringify(url)} is no address of a repository: use http:// or https://`;
  throw new TrustError('BAD_REPOSITORY', message);
}

function wanted(trusted: TrustedTargets, { model, version }: CheckOptions) {
  if (model === undefined) return trusted.all();
  const files = trusted.all().filter(({ path }) => {
    const [, name, release] = path.split('/');
    return name === model && (version === undefined || release === version);
  });
  if (files.length > 0) return files;
  const what = version === undefined ? model : `${model} ${version}`;
  throw new NotTrusted('missing', `${what} is not among the signed files of the repository`);
}

async function fetchOne(folder: string, file: TrustedTarget, { url, signal }: CheckOptions) {
  const path = join(folder, 'file');
  const address = addressOf(url, TARGETS, file.stored);
  await download(path, { url: address, bytes: file.bytes, sha256: file.sha256 }, { signal });
  await rm(path);
}
