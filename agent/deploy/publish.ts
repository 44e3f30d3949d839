import { readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { fileError } from '../util/files.ts';
import { TrustError } from './errors.ts';
import { digestOf, store, type SourceFile } from './stored-file.ts';
import { contentsOf, type NewTarget } from './tuf/authority.ts';
import { modelPrefix, packagePrefix } from './tuf/layout.ts';
import { withLock } from './tuf/lock.ts';
import { changeTargets, readRepository, type RepositoryOptions } from './tuf/repository.ts';

/** A package has a manifest, models and samples; more files than this is a mistake. */
const MAX_FILES = 20_000;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export interface PublishOptions extends RepositoryOptions {
  /** The package's folder; every file in it becomes a signed file of the repository. */
  readonly packageFolder: string;
  readonly model: string;
  readonly version: string;
  /** Grows with every release of this model; the next free one when left out. */
  readonly releaseCounter?: number | undefined;
}

export interface Published {
  readonly model: string;
  readonly version: string;
  readonly releaseCounter: number;
  readonly files: number;
  readonly bytes: number;
}

/**
 * Adds a package to a repository: copies its files under their hash, then signs the next targets. A
 * release that exists with the same files is not added twice; with other files it is refused, since
 * devices may have it. Throws TrustError, NotTrusted, FileError.
 */
export async function publishPackage(options: PublishOptions): Promise<Published> {
  const { folder, firstRoot, model, version } = options;
  checkName('model name', model);
  checkName('version', version);
  // Before a lock is written into what may be any folder.
  await readRepository(folder, firstRoot);
  return withLock(folder, () => publishAlone(options));
}

async function publishAlone(options: PublishOptions): Promise<Published> {
  const { folder, firstRoot, packageFolder, model, version } = options;
  const known = contentsOf((await readRepository(folder, firstRoot)).targets.signed).files;
  const counter = options.releaseCounter ?? highestRelease(known, modelPrefix(model)) + 1;
  const files = await readPackage(packageFolder, model, version, counter);
  const summary = {
    model,
    version,
    files: files.length,
    bytes: files.reduce((sum, file) => sum + file.bytes, 0),
  };
  const existing = known.filter(({ path }) => path.startsWith(packagePrefix(model, version)));
  if (existing.length > 0) {
    refuseOther(existing, files, model, version);
    return { ...summary, releaseCounter: existing[0]?.releaseCounter ?? 0 };
  }
  refuseOldCounter(model, highestRelease(known, modelPrefix(model)), counter);
  for (const file of files) {
    // oxlint-disable-next-line no-await-in-loop -- one file after the other: disks like it so
    await store(folder, file);
  }
  await changeTargets(options, { add: files });
  return { ...summary, releaseCounter: counter };
}

function checkName(what: string, name: string): void {
  if (NAME.test(name)) return;
  throw new TrustError(
    'BAD_PACKAGE',
    `${JSON.stringify(name)} is no ${what}: use 1 to 64 of A-Z a-z 0-9 . _ and -, first a letter or digit`,
  );
}

/** The highest release among files whose path begins so; 0 before the first. */
export function highestRelease(known: readonly NewTarget[], prefix: string): number {
  const files = known.filter(({ path }) => path.startsWith(prefix));
  return Math.max(0, ...files.map((file) => file.releaseCounter ?? 0));
}

/** Throws TrustError for a release that devices would refuse. */
export function refuseOldCounter(what: string, highest: number, counter: number): void {
  if (Number.isSafeInteger(counter) && counter > highest) return;
  throw new TrustError(
    'BAD_PACKAGE',
    `release ${counter} of ${what} is not above ${highest}, which is published: devices would refuse it`,
  );
}

function refuseOther(
  existing: readonly NewTarget[],
  files: readonly NewTarget[],
  model: string,
  version: string,
): void {
  const before = new Map(existing.map(({ path, sha256 }) => [path, sha256]));
  const same =
    before.size === files.length && files.every(({ path, sha256 }) => before.get(path) === sha256);
  if (same) return;
  const message = `${model} ${version} is published with other files: give the package a new version`;
  throw new TrustError('EXISTS', message);
}

async function readPackage(
  folder: string,
  model: string,
  version: string,
  releaseCounter: number,
): Promise<readonly SourceFile[]> {
  const sources = await listFiles(folder);
  if (sources.length === 0) throw new TrustError('BAD_PACKAGE', `${folder} holds no files`);
  const files: SourceFile[] = [];
  for (const source of sources) {
    const inside = relative(folder, source).split(sep).join('/');
    const path = `${packagePrefix(model, version)}${inside}`;
    // oxlint-disable-next-line no-await-in-loop -- bounded memory
    files.push({ source, path, ...(await digestOf(source)), releaseCounter });
  }
  return files;
}

async function listFiles(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(
    (error: unknown) => {
      throw fileError('read', folder, error);
    },
  );
  const strange = entries.find((entry) => !entry.isFile() && !entry.isDirectory());
  if (strange !== undefined) {
    const path = join(strange.parentPath, strange.name);
    throw new TrustError('BAD_PACKAGE', `${path} is neither a file nor a folder: copy it in`);
  }
  const files = entries.filter((entry) => entry.isFile());
  if (files.length > MAX_FILES) {
    throw new TrustError('BAD_PACKAGE', `${folder} holds more than ${MAX_FILES} files`);
  }
  return files.map(({ parentPath, name }) => join(parentPath, name)).toSorted();
}
