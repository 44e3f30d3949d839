import { existsSync, readFileSync, readdirSync, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { libraryFolders } from '../../hardware/accelerator.ts';
import { shippedPath } from '../../util/paths.ts';

export type Origin = 'configured' | 'system' | 'vendored';

export interface Place {
  readonly origin: Origin;
  readonly path: string;
}

/** The environment variable that names a library; then no other is tried. */
export const LIBRARY_VARIABLE = 'EDGEFIT_TFLITE_LIBRARY';

/** How distributions (`libtensorflow-lite`) and builds from source call it, with or without version. */
const FILE = /^lib(?:tensorflow-lite|tensorflowlite_c|tensorflowlite)\.so(?:\.\d+)*$/;

const OUR_FILE = 'libtensorflowlite_c.so';

export interface PlacesOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Where the system's folders are looked up; for tests. */
  readonly root?: string;
  readonly vendored?: string;
}

/** Where a TFLite library may be, in the order to try: configured, the system's, our own. */
export function libraryPlaces(options: PlacesOptions = {}): readonly Place[] {
  const { env = process.env, root = '/', vendored = vendoredLibrary() } = options;
  const configured = env[LIBRARY_VARIABLE] ?? '';
  if (configured !== '') return [{ origin: 'configured', path: configured }];
  const folders = [
    ...(env['LD_LIBRARY_PATH'] ?? '').split(delimiter).filter((folder) => folder !== ''),
    ...configuredFolders(root),
    ...libraryFolders(process.arch).map((folder) => join(root, folder)),
  ];
  const files = folders.flatMap(librariesIn);
  return [
    ...withoutLinks(files).map((path): Place => ({ origin: 'system', path })),
    { origin: 'vendored', path: vendored },
  ];
}

/** Where scripts/fetch-tflite.js puts the library of this platform. */
export function vendoredLibrary(): string {
  return shippedPath('vendor', 'tflite', `linux-${process.arch}`, OUR_FILE);
}

/** The folders that the system's linker was told about, e.g. /usr/local/lib. */
function configuredFolders(root: string): readonly string[] {
  const folder = join(root, 'etc/ld.so.conf.d');
  return namesIn(folder)
    .flatMap((name) => textOf(join(folder, name)).split('\n'))
    .map((line) => line.trim())
    .filter((line) => line.startsWith('/'))
    .map((line) => join(root, line));
}

/** Shortest name first: the plain one is the link to the version that is meant to be used. */
function librariesIn(folder: string): readonly string[] {
  return namesIn(folder)
    .filter((name) => FILE.test(name))
    .toSorted((a, b) => a.length - b.length || (a < b ? -1 : 1))
    .map((name) => join(folder, name));
}

/** A file under several names, by links of its own or of its folder, is there once, by the first. */
function withoutLinks(files: readonly string[]): readonly string[] {
  const targets = files.map(targetOf);
  return files.filter((_, at) => targets.indexOf(targets[at] ?? '') === at);
}

function targetOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // A link to nothing: loading it says so.
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return existsSync(folder) ? readdirSync(folder) : [];
  } catch {
    return []; // A file, or not ours to read: nothing to be found there.
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // Not ours to read; the usual folders remain.
  }
}
