import { lstat, open, readlink, rename, rm, symlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { tellStep } from './durable-steps.ts';
import { codeOf } from './errors.ts';
import { sync, temporaryBeside } from './files.ts';

/*
 * The few operations that state which must survive a power cut is written with: the journal of jobs,
 * releases, and the links `current` and `previous`. Each comes back when the disk has it. They throw
 * system errors.
 */

/** A reader sees the old content or all of the new. */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = temporaryBeside(path);
  try {
    await writeNew(temporary, Buffer.from(content));
    await move(temporary, path);
  } catch (error) {
    // What matters is the error that came first.
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
}

async function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  tellStep({ step: 'write', path, bytes });
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(bytes);
    tellStep({ step: 'sync', path });
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Renames within one file system; what stood at `to` is replaced. Both folders are synced. */
export async function move(from: string, to: string): Promise<void> {
  tellStep({ step: 'rename', from, to });
  await rename(from, to);
  await syncFolder(dirname(to));
  if (dirname(from) !== dirname(to)) await syncFolder(dirname(from));
}

/** Points a link elsewhere in one step: a reader finds the old target or the new one. */
export async function replaceLink(path: string, target: string): Promise<void> {
  const temporary = temporaryBeside(path);
  tellStep({ step: 'symlink', path: temporary, target });
  await symlink(target, temporary);
  try {
    await move(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
}

/** Where a link points, or null when there is none. */
export async function linkTarget(path: string): Promise<string | null> {
  try {
    return await readlink(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

/** Removes a file, a link or a folder with all in it; nothing happens when it is not there. */
export async function removeDurably(path: string): Promise<void> {
  if (!(await isThere(path))) return;
  tellStep({ step: 'remove', path });
  await rm(path, { recursive: true, force: true });
  await syncFolder(dirname(path));
}

/** Syncs files that others wrote, before they are relied upon. */
export async function syncFile(path: string): Promise<void> {
  tellStep({ step: 'sync', path });
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

export async function syncFolder(path: string): Promise<void> {
  tellStep({ step: 'sync-folder', path });
  await sync(path);
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}
