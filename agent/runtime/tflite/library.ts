import { existsSync } from 'node:fs';
import { messageOf } from '../../util/errors.ts';
import { RuntimeFailure } from '../errors.ts';
import { type Tflite, loadTflite } from './native.ts';
import {
  LIBRARY_VARIABLE,
  type Origin,
  type Place,
  type PlacesOptions,
  libraryPlaces,
} from './places.ts';

export interface TfliteLibrary {
  readonly path: string;
  readonly origin: Origin;
  readonly version: string;
  /** Without XNNPACK models are many times slower. */
  readonly xnnpack: boolean;
}

/** A library that was looked at and not taken. */
export interface SkippedLibrary extends Place {
  readonly why: string;
}

export interface LibrarySearch {
  readonly library: TfliteLibrary | null;
  readonly skipped: readonly SkippedLibrary[];
}

/**
 * Finds the TFLite library to use: the one configured by EDGEFIT_TFLITE_LIBRARY, the system's, the
 * one that comes with edgefit; see places.ts. Loads each until one has every function that is
 * needed and XNNPACK; one without XNNPACK is taken where no other is left. Where one is configured no
 * other is tried: using another one silently would be worse.
 */
export async function findTfliteLibrary(options: PlacesOptions = {}): Promise<LibrarySearch> {
  const { library, skipped } = await search(options);
  return { library: library && describeLibrary(library), skipped };
}

type Found = Place & { readonly tflite: Tflite };

function describeLibrary({ path, origin, tflite }: Found): TfliteLibrary {
  return { path, origin, version: tflite.version, xnnpack: tflite.api.xnnpack !== null };
}

async function search(options: PlacesOptions) {
  const skipped: SkippedLibrary[] = [];
  let slow: Found | null = null;
  for (const place of libraryPlaces(options)) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- the first that works is the one
      const library = { ...place, tflite: await loadTflite(place.path) };
      if (library.tflite.api.xnnpack !== null) return { library, skipped };
      slow ??= library;
      skipped.push({ ...place, why: 'has no XNNPACK, without which models are many times slower' });
    } catch (error) {
      skipped.push({ ...place, why: reason(place, error) });
    }
  }
  return { library: slow, skipped: skipped.filter(({ path }) => path !== slow?.path) };
}

function reason({ path, origin }: Place, error: unknown): string {
  if (!existsSync(path)) {
    return origin === 'vendored' ? 'not there: npm run fetch-tflite puts it there' : 'no such file';
  }
  const text = messageOf(error).split('\n')[0] ?? '';
  const lacking = /Cannot find function '(\w+)'/.exec(text)?.[1];
  if (lacking !== undefined) return `lacks ${lacking}: not a C library of TFLite`;
  return text.replace(/^Failed to load shared library: /, '');
}

/** Loads the library to use. Throws START_FAILED with the reasons when there is none. */
export async function openTflite(options: PlacesOptions = {}): Promise<Tflite> {
  const { library, skipped } = await search(options);
  if (library !== null) return library.tflite;
  const reasons = skipped.map(({ path, why }) => `${path}: ${why}`).join('; ');
  const [first] = skipped;
  const what =
    first?.origin === 'configured' ? `${LIBRARY_VARIABLE} names a library that` : 'TFLite';
  throw new RuntimeFailure('START_FAILED', `${what} cannot be loaded: ${reasons}`);
}
