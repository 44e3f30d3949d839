import { copyFile, mkdir, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { InputSpec, SampleSetSpec } from '../../contracts/manifest.ts';
import { fileError } from '../../util/files.ts';
import { rowsIn } from './array-files.ts';
import { kindOfFile, openNpy, openNpz } from './arrays.ts';
import { type Kind, samplesIn } from './folder.ts';
import type { LabelledFile } from './labels.ts';
import { firstBytesOf } from './open.ts';
import { SampleError } from './error.ts';
import { writeNpy, writeNpz } from './write-arrays.ts';
import { readSounds } from './wav-source.ts';

/** Where a part of a sample set goes. */
export interface SubsetTarget {
  /** It exists. */
  readonly folder: string;
  /** Of the file or folder in it, without an ending. */
  readonly name: string;
}

/**
 * Copies the samples that a set names, and no others, in their order and with their labels. Returns
 * the set that names all of the copy, relative to the target's folder. Arrays are copied sample by
 * sample, so no size matters. Throws SampleError or FileError.
 */
export async function copySubset(
  set: SampleSetSpec,
  inputs: Readonly<Record<string, InputSpec>>,
  target: SubsetTarget,
): Promise<SampleSetSpec> {
  const head = await firstBytesOf(set.path);
  if (head === null) return copyFolder(set, inputs, target);
  const kind = kindOfFile(head);
  if (kind === 'npy' || kind === 'npz') return copyArrays(kind, set, target);
  return copySingle(set, target);
}

async function copyArrays(
  kind: 'npy' | 'npz',
  { path, from = 0, to }: SampleSetSpec,
  { folder, name }: SubsetTarget,
): Promise<SampleSetSpec> {
  const file = `${name}.${kind}`;
  const output = join(folder, file);
  if (kind === 'npy') {
    await writeNpy(output, await openNpy(path), { from, to });
  } else await writeNpz(output, await openNpz(path), { from, to });
  return { path: file };
}

/** One picture or sound: it stays whole, and what was named of it is named again. */
async function copySingle(
  { path, from, to }: SampleSetSpec,
  { folder, name }: SubsetTarget,
): Promise<SampleSetSpec> {
  await copyInto(join(folder, name), dirname(path), [{ file: basename(path) }]);
  return { path: `${name}/${basename(path)}`, ...range(from, to) };
}

async function copyFolder(
  { path, from = 0, to }: SampleSetSpec,
  inputs: Readonly<Record<string, InputSpec>>,
  { folder, name }: SubsetTarget,
): Promise<SampleSetSpec> {
  const specs = Object.values(inputs).filter((spec) => !('constant' in spec));
  const { kind, files } = await samplesIn(path, specs);
  const part = await partOf(kind, path, files, specs, { from, to });
  const copy = join(folder, name);
  await copyInto(copy, path, part.files);
  if (part.files.some(({ file, label }) => label !== undefined || file.includes('/'))) {
    await writeFile(join(copy, 'labels.csv'), labelsText(part.files));
  }
  return { path: name, ...range(part.from, part.to) };
}

interface Part {
  readonly files: readonly LabelledFile[];
  /** Where one file gives several samples: which of those in `files`. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
}

async function partOf(
  kind: Kind,
  path: string,
  files: readonly LabelledFile[],
  specs: readonly InputSpec[],
  { from, to }: { readonly from: number; readonly to: number | undefined },
): Promise<Part> {
  if (kind === 'arrays') return arraysPart(path, files, { from, to });
  const audio = specs.find((spec) => 'audio' in spec);
  if (kind !== 'wav' || audio === undefined) {
    const last = to ?? files.length;
    if (last > files.length) {
      const message = `from ${from} to ${last} is outside the ${files.length} samples in ${path}`;
      throw new SampleError('range', message);
    }
    return { files: files.slice(from, last) };
  }
  const sounds = await readSounds(path, files, audio.audio);
  const spans = sounds.map(({ entry, firstWindow, windows }) => ({
    entry,
    first: firstWindow,
    count: windows,
  }));
  return overlapping(spans, { from, to });
}

async function arraysPart(
  path: string,
  files: readonly LabelledFile[],
  wanted: { readonly from: number; readonly to: number | undefined },
): Promise<Part> {
  const spans: Span[] = [];
  let first = 0;
  for (const entry of files) {
    // oxlint-disable-next-line no-await-in-loop -- a few header bytes per file
    const count = await rowsIn(join(path, entry.file));
    spans.push({ entry, first, count });
    first += count;
  }
  return overlapping(spans, wanted);
}

/** A file of several samples. */
interface Span {
  readonly entry: LabelledFile;
  readonly first: number;
  readonly count: number;
}

/** The files that hold a range of samples, and which of theirs it is. */
function overlapping(
  spans: readonly Span[],
  { from, to }: { readonly from: number; readonly to: number | undefined },
): Part {
  const used = spans.filter(({ first, count }) => first + count > from && first < (to ?? Infinity));
  const skipped = used[0]?.first ?? 0;
  return {
    files: used.map(({ entry }) => entry),
    from: from - skipped,
    to: to === undefined ? undefined : to - skipped,
  };
}

/** Left out where it says nothing. */
function range(from: number | undefined, to: number | undefined): Omit<SampleSetSpec, 'path'> {
  return {
    ...(from === undefined || (from === 0 && to === undefined) ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  };
}

async function copyInto(
  folder: string,
  from: string,
  files: readonly LabelledFile[],
): Promise<void> {
  for (const { file } of files) {
    const source = join(from, file);
    try {
      // oxlint-disable-next-line no-await-in-loop -- one after the other spares the disk
      await mkdir(dirname(join(folder, file)), { recursive: true });
      // oxlint-disable-next-line no-await-in-loop -- as above
      await copyFile(source, join(folder, file));
    } catch (error) {
      // oxlint-disable-next-line no-await-in-loop -- it ends here
      const missing = (await stat(source).catch(() => null)) === null;
      throw fileError(missing ? 'read' : 'copy', missing ? source : folder, error);
    }
  }
}

/** As `parseLabels` reads it; -1 says that there is no label. */
function labelsText(files: readonly LabelledFile[]): string {
  const rows = files.map(({ file, label }) => `"${file.replaceAll('"', '""')}",${label ?? -1}`);
  return `file,label\n${rows.join('\n')}\n`;
}
