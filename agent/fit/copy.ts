import { access, copyFile, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { fileError } from '../util/files.ts';

/** Copies a file so that `to` is absent, old or complete; models need not fit into memory. */
export async function copyDurably(from: string, to: string): Promise<void> {
  const part = join(dirname(to), `.${basename(to)}.${randomBytes(6).toString('hex')}.part`);
  await access(from).catch((error: unknown) => {
    throw fileError('read', from, error);
  });
  try {
    await copyFile(from, part);
    const file = await open(part, 'r+');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, to);
  } catch (error) {
    // It may never have been there; what matters is the error that came first.
    await rm(part, { force: true }).catch(() => undefined);
    throw fileError('write', to, error);
  }
}
