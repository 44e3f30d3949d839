import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ID_PATTERN } from '../../contracts/ids.ts';
import { releaseSchema, type Release } from '../../contracts/release.ts';
import {
  linkTarget,
  move,
  removeDurably,
  replaceFile,
  replaceLink,
  syncFile,
  syncFolder,
} from '../../util/durable.ts';
import { AgentError, codeOf, messageOf } from '../../util/errors.ts';
import { makeFolderDurably, namesIn } from '../../util/files.ts';
import { hashOfFile } from '../hash.ts';

export type SlotErrorCode = 'release_incomplete' | 'no_previous' | 'bad_name';

/** A release that is not whole, or a slot that is not there. */
export class SlotError extends AgentError {
  override readonly name = 'SlotError';

  constructor(code: SlotErrorCode, message: string, options: { readonly cause?: unknown } = {}) {
    super(code, message, { ...options, kind: 'failure' });
  }
}

const RELEASE_FILE = 'release.json';

/**
 * The releases of one model on this device:
 *
 *     models/NAME/releases/DIGEST/...   complete, never changed
 *     models/NAME/current  -> releases/DIGEST   what applications load
 *     models/NAME/previous -> releases/DIGEST   what ran before, for the way back
 *
 * Both links change in one step each, so whoever follows `current` finds the old release or the new
 * one, whole, at any moment and after any power cut.
 */
export class Slots {
  readonly folder: string;

  constructor(modelsFolder: string, model: string) {
    // "." and ".." are ids, too.
    if (!ID_PATTERN.test(model) || /^\.+$/.test(model)) {
      throw new SlotError('bad_name', `${JSON.stringify(model)} cannot name a model`);
    }
    this.folder = join(modelsFolder, model);
  }

  get currentLink(): string {
    return join(this.folder, 'current');
  }

  get previousLink(): string {
    return join(this.folder, 'previous');
  }

  releaseFolder(digest: string): string {
    return join(this.folder, 'releases', digest);
  }

  /** Digest of the release that runs, or null before the first. */
  async current(): Promise<string | null> {
    return digestOf(await linkTarget(this.currentLink));
  }

  async previous(): Promise<string | null> {
    return digestOf(await linkTarget(this.previousLink));
  }

  /**
   * Takes a folder of files over as a release: syncs them, writes release.json, and moves it into its
   * place. The folder must be on the same file system. A release that is there already stays.
   */
  async stage(
    source: string,
    about: Omit<Release, 'schema' | 'digest' | 'files'>,
  ): Promise<Release> {
    const files = await describeFiles(source);
    const named = JSON.stringify([about, files]);
    const digest = createHash('sha256').update(named).digest('hex');
    const release: Release = releaseSchema.parse({
      schema: 'edgefit/release/1',
      ...about,
      digest,
      files,
    });
    const target = this.releaseFolder(digest);
    if (await isComplete(target)) {
      await removeDurably(source);
      return release;
    }
    await makeFolderDurably(dirname(target));
    await removeDurably(target);
    await syncTree(source, files);
    await replaceFile(join(source, RELEASE_FILE), JSON.stringify(release));
    await move(source, target);
    return release;
  }

  /** What release.json says, the files not looked at. Throws SlotError. */
  async read(digest: string): Promise<Release> {
    const path = join(this.releaseFolder(digest), RELEASE_FILE);
    try {
      return releaseSchema.parse(JSON.parse(await readFile(path, 'utf8')));
    } catch (cause) {
      const message = `${path} does not describe a release: ${messageOf(cause)}`;
      throw new SlotError('release_incomplete', message, { cause });
    }
  }

  /** Reads every byte of a release. Throws SlotError when one is not as it was. */
  async verify(digest: string): Promise<Release> {
    const release = await this.read(digest);
    for (const { path, bytes, sha256 } of release.files) {
      const file = join(this.releaseFolder(digest), path);
      // oxlint-disable-next-line no-await-in-loop -- one file after the other
      const found = await hashOfFile(file).catch((cause: unknown) => {
        const message = `${file} cannot be read: ${messageOf(cause)}`;
        throw new SlotError('release_incomplete', message, { cause });
      });
      if (found?.bytes !== bytes || found.sha256 !== sha256) {
        throw new SlotError('release_incomplete', `${file} is not what was staged`);
      }
    }
    return release;
  }

  /**
   * Lets a complete release run. What ran before is `previous` from then on, and first: a power cut
   * between the two leaves both links on the old release, which is a state like any other.
   */
  async activate(digest: string): Promise<void> {
    await this.verify(digest);
    const before = await this.current();
    if (before === digest) return;
    if (before !== null) await replaceLink(this.previousLink, relativeTarget(before));
    await replaceLink(this.currentLink, relativeTarget(digest));
  }

  /**
   * Brings both links back to where they were, `current` first: a power cut between the two leaves a
   * state that can be used. Null takes a link away.
   */
  async restore(current: string | null, previous: string | null): Promise<void> {
    if (current !== null) await this.verify(current);
    await setLink(this.currentLink, current);
    const isThere = previous !== null && (await isComplete(this.releaseFolder(previous)));
    await setLink(this.previousLink, isThere ? previous : null);
  }

  /** Removes releases that no link names, and what was left half-made. */
  async collect(keep: readonly string[] = []): Promise<void> {
    const used = new Set([await this.current(), await this.previous(), ...keep]);
    const folder = join(this.folder, 'releases');
    for (const name of await namesIn(folder)) {
      // oxlint-disable-next-line no-await-in-loop -- a handful
      if (!used.has(name)) await removeDurably(join(folder, name));
    }
  }
}

async function setLink(path: string, digest: string | null): Promise<void> {
  if (digest === null) return removeDurably(path);
  const target = relativeTarget(digest);
  if ((await linkTarget(path)) !== target) await replaceLink(path, target);
}

function relativeTarget(digest: string): string {
  return join('releases', digest);
}

function digestOf(target: string | null): string | null {
  return target === null ? null : basename(target);
}

async function isComplete(folder: string): Promise<boolean> {
  try {
    return (await stat(join(folder, RELEASE_FILE))).isFile();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

async function describeFiles(folder: string): Promise<Release['files']> {
  const names = (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .filter((name) => name !== RELEASE_FILE)
    .toSorted();
  const files: Release['files'] = [];
  for (const path of names) {
    // oxlint-disable-next-line no-await-in-loop -- one file after the other
    const found = await hashOfFile(join(folder, path));
    if (found !== null) files.push({ path, ...found });
  }
  return files;
}

async function syncTree(folder: string, files: Release['files']): Promise<void> {
  const folders = new Set<string>([folder]);
  for (const { path } of files) {
    // oxlint-disable-next-line no-await-in-loop -- one file after the other
    await syncFile(join(folder, path));
    for (let at = dirname(path); at !== '.'; at = dirname(at)) folders.add(join(folder, at));
  }
  // oxlint-disable-next-line no-await-in-loop -- a handful
  for (const one of folders) if ((await lstat(one)).isDirectory()) await syncFolder(one);
}
