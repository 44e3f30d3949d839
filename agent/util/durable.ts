import { randomBytes } from 'node:crypto';
import { lstat, mkdir, open, readlink, rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { codeOf } from './errors.ts';
import { sync } from './files.ts';

/**
 * The few operations that state which must survive a power cut is written with: the journal of jobs,
 * releases, and the links `current` and `previous`. Each comes back when the disk has it. An observer
 * sees every step, so that a test can replay what a disk may hold after a power cut at any point.
 */
export type DurableStep =
  | { readonly step: 'mkdir'; readonly path: string }
  | { readonly step: 'write'; readonly path: string; readonly bytes: Uint8Array }
  | { readonly step: 'sync'; readonly path: string }
  | { readonly step: 'rename'; readonly from: string; readonly to: string }
  | { readonly step: 'symlink'; readonly path: string; readonly target: string }
  | { readonly step: 'remove'; readonly path: string }
  | { readonly step: 'sync-folder'; readonly path: string };

let observe: (step: DurableStep) => void = () => undefined;

/** Sends every step to an observer, before it is taken; returns what ends it. */
export function observeDurable(observer: (step: DurableStep) => void): () => void {
  observe = observer;
  return () => {
    observe = () => undefined;
  };
}

function temporaryBeside(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.part`);
}

/** Makes a folder below one that exists. Throws system errors, as all of these do. */
export async function makeFolderDurably(path: string): Promise<void> {
  observe({ step: 'mkdir', path });
  try {
    await mkdir(path);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    return;
  }
  await syncFolder(dirname(path));
}

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
  observe({ step: 'write', path, bytes });
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(bytes);
    observe({ step: 'sync', path });
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Renames within one file system; what stood at `to` is replaced. Both folders are synced. */
export async function move(from: string, to: string): Promise<void> {
  observe({ step: 'rename', from, to });
  await rename(from, to);
  await syncFolder(dirname(to));
  if (dirname(from) !== dirname(to)) await syncFolder(dirname(from));
}

/** Points a link elsewhere in one step: a reader finds the old target or the new one. */
export async function replaceLink(path: string, target: string): Promise<void> {
  const temporary = temporaryBeside(path);
  observe({ step: 'symlink', path: temporary, target });
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
  observe({ step: 'remove', path });
  await rm(path, { recursive: true, force: true });
  await syncFolder(dirname(path));
}

/** Syncs files that others wrote, before they are relied upon. */
export async function syncFile(path: string): Promise<void> {
  observe({ step: 'sync', path });
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

export async function syncFolder(path: string): Promise<void> {
  observe({ step: 'sync-folder', path });
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
