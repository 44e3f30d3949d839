import { copyFile, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { codeOf } from '../util/errors.ts';
import { fileError, sync } from '../util/files.ts';
import { TrustError } from './errors.ts';
import { hashOfFile } from './hash.ts';
import { contentsOf, type NewTarget } from './tuf/authority.ts';
import { modelPrefix, packagePrefix, targetFile } from './tuf/layout.ts';
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
  const counter = options.releaseCounter ?? nextCounter(known, model);
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
  refuseOldCounter(known, model, counter);
  for (const file of files) {
    // oxlint-disable-next-line no-await-in-loop -- one file after the other: disks like it so
    await store(options, file);
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

function countersOf(known: readonly NewTarget[], model: string): readonly number[] {
  return known
    .filter(({ path }) => path.startsWith(modelPrefix(model)))
    .map((file) => file.releaseCounter ?? 0);
}

function nextCounter(known: readonly NewTarget[], model: string): number {
  return Math.max(0, ...countersOf(known, model)) + 1;
}

function refuseOldCounter(known: readonly NewTarget[], model: string, counter: number): void {
  const highest = Math.max(0, ...countersOf(known, model));
  if (Number.isSafeInteger(counter) && counter > highest) return;
  throw new TrustError(
    'BAD_PACKAGE',
    `release ${counter} of ${model} is not above ${highest}, which is published: devices would refuse it`,
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

type PackageFile = NewTarget & { readonly source: string };

async function readPackage(
  folder: string,
  model: string,
  version: string,
  releaseCounter: number,
): Promise<readonly PackageFile[]> {
  const sources = await listFiles(folder);
  if (sources.length === 0) throw new TrustError('BAD_PACKAGE', `${folder} holds no files`);
  const files: PackageFile[] = [];
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

async function digestOf(path: string): Promise<{ bytes: number; sha256: string }> {
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
async function store({ folder }: RepositoryOptions, file: PackageFile): Promise<void> {
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
