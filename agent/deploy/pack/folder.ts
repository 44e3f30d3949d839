import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import type { PackedFile } from '../../contracts/manifest.ts';
import { codeOf } from '../../util/errors.ts';
import { checkCanWriteFolder, fileError, makeFolder, sync } from '../../util/files.ts';
import { hashOfFile } from '../hash.ts';
import { PackError } from './errors.ts';

/** Of a folder that `agent model pack` may replace. */
export const MANIFEST_FILE = 'manifest.json';

/** Refuses what cannot become the package, before the long work. Throws PackError or FileError. */
export async function checkOutput(output: string, replace: boolean): Promise<void> {
  const found = await stat(output).catch(() => null);
  if (found === null) return checkCanWriteFolder(dirname(resolve(output)));
  if (!found.isDirectory()) {
    throw new PackError('output-exists', `${output} is a file: name a folder to make with -o`);
  }
  const inside = await readdir(output);
  if (inside.length === 0) return undefined;
  if (!replace) {
    const message = `${output} exists and is not empty: name another folder, or give --force`;
    throw new PackError('output-exists', message);
  }
  if (inside.includes(MANIFEST_FILE)) return undefined;
  const message = `${output} is no package (it has no ${MANIFEST_FILE}): remove it yourself`;
  throw new PackError('output-exists', message);
}

/**
 * Makes a folder so that it is either there and complete or as it was before: `fill` writes into a
 * sibling, whose files are brought to disk before it takes the name.
 */
export async function makeWhole<T>(
  output: string,
  fill: (folder: string) => Promise<T>,
): Promise<T> {
  const target = resolve(output);
  const mark = randomBytes(6).toString('hex');
  const part = join(dirname(target), `.${basename(target)}.${mark}.part`);
  try {
    await makeFolder(part).catch((error: unknown) => {
      throw fileError('make the folder', part, error);
    });
    const made = await fill(part);
    await syncAll(part);
    await takeName(part, target, mark);
    return made;
  } finally {
    await rm(part, { recursive: true, force: true });
  }
}

/** A folder cannot be renamed onto one with files: the old one steps aside first. */
async function takeName(part: string, target: string, mark: string): Promise<void> {
  const old = join(dirname(target), `.${basename(target)}.${mark}.old`);
  try {
    const moved = await rename(target, old).then(
      () => true,
      (error: unknown) => {
        if (codeOf(error) === 'ENOENT') return false;
        throw error;
      },
    );
    try {
      await rename(part, target);
    } catch (error) {
      if (moved) await rename(old, target);
      throw error;
    }
    await sync(dirname(target));
    await rm(old, { recursive: true, force: true });
  } catch (error) {
    throw fileError('make the folder', target, error);
  }
}

/** Copies a file into the package; its folder is made. */
export async function copyTo(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await copyFile(from, to).catch(async (error: unknown) => {
    const missing = (await stat(from).catch(() => null)) === null;
    throw fileError(missing ? 'read' : 'write', missing ? from : to, error);
  });
}

/** Every file below a folder with its length and sha256, by path in code unit order. */
export async function listFiles(folder: string): Promise<readonly PackedFile[]> {
  const files = await filesBelow(folder);
  const listed: PackedFile[] = [];
  for (const file of files) {
    const path = relative(folder, file).split(sep).join('/');
    // oxlint-disable-next-line no-await-in-loop -- one large file at a time
    listed.push({ path, ...(await digest(file)) });
  }
  return listed.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

async function filesBelow(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((one) => one.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
}

/** Of a file that must be there. Throws system errors. */
export async function digest(path: string): Promise<{ sha256: string; bytes: number }> {
  const found = await hashOfFile(path);
  if (found !== null) return found;
  throw Object.assign(new Error(`${path} has vanished`), { code: 'ENOENT' });
}

async function syncAll(folder: string): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.map(({ parentPath, name }) => join(parentPath, name));
  // oxlint-disable-next-line no-await-in-loop -- the disk does one after the other anyway
  for (const path of [...paths, folder]) await sync(path);
}
