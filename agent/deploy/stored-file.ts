import { copyFile, mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { codeOf } from '../util/errors.ts';
import { fileError, sync } from '../util/files.ts';
import { TrustError } from './errors.ts';
import { hashOfFile } from './hash.ts';
import type { NewTarget } from './tuf/authority.ts';
import { targetFile } from './tuf/layout.ts';

/** A file that becomes a signed one of a repository. */
export type SourceFile = NewTarget & { readonly source: string };

/** Length and hash of a file that is being published. Throws FileError and TrustError. */
export async function digestOf(path: string): Promise<{ bytes: number; sha256: string }> {
  const found = await hashOfFile(path).catch((error: unknown) => {
    throw fileError('read', path, error);
  });
  if (found !== null) return found;
  throw new TrustError('BAD_PACKAGE', `${path} vanished while it was published: try again`);
}

/**
 * Copies beside, looks at the copy and renames: a web server never serves half a file, and nothing
 * else ever stands under a hash. On the disk before metadata names it.
 */
export async function store(folder: string, file: SourceFile): Promise<void> {
  const path = targetFile(folder, file.path, file.sha256);
  const part = `${path}.part`;
  try {
    if ((await exists(path)) && (await digestOf(path)).sha256 === file.sha256) return;
    await mkdir(dirname(path), { recursive: true });
    await copyFile(file.source, part);
    await sync(part);
  } catch (error) {
    throw fileError('write', path, error);
  }
  if ((await digestOf(part)).sha256 !== file.sha256) {
    await rm(part, { force: true });
    throw new TrustError('BAD_PACKAGE', `${file.source} changed while it was published: try again`);
  }
  try {
    await rename(part, path);
    await sync(dirname(path));
  } catch (error) {
    throw fileError('write', path, error);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}
