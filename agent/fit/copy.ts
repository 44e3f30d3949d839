import { access, copyFile, rename, rm } from 'node:fs/promises';
import { fileError, sync, temporaryBeside } from '../util/files.ts';

/** Copies a file so that `to` is absent, old or complete; models need not fit into memory. */
export async function copyDurably(from: string, to: string): Promise<void> {
  const part = temporaryBeside(to);
  await access(from).catch((error: unknown) => {
    throw fileError('read', from, error);
  });
  try {
    await copyFile(from, part);
    await sync(part);
    await rename(part, to);
  } catch (error) {
    // It may never have been there; what matters is the error that came first.
    await rm(part, { force: true }).catch(() => undefined);
    throw fileError('write', to, error);
  }
}
