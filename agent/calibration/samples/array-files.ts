import { extname, join } from 'node:path';
import { openNpySource, openNpzSource } from './array-source.ts';
import { openNpy, openNpz } from './arrays.ts';
import type { LabelledFile } from './labels.ts';
import type { InputPlan, RawSource, Sample } from './types.ts';

const isNpy = (file: string) => extname(file).toLowerCase() === '.npy';

/**
 * A folder of .npz and .npy files, one sample or more in each, as one source: in the order of the
 * files. Labels are those of the arrays, or else those of labels.csv, one for all of a file.
 */
export async function openArrayFiles(
  folder: string,
  files: readonly LabelledFile[],
  plans: readonly InputPlan[],
): Promise<RawSource> {
  const sources: { readonly entry: LabelledFile; readonly source: RawSource }[] = [];
  for (const entry of files) {
    const path = join(folder, entry.file);
    // oxlint-disable-next-line no-await-in-loop -- headers only, one file open at a time
    const source = await (isNpy(path) ? openNpySource(path, plans) : openNpzSource(path, plans));
    sources.push({ entry, source });
  }
  const counts = sources.map(({ source }) => source.count ?? 0);
  return {
    count: counts.reduce((sum, count) => sum + count, 0),
    labelled: sources.some(({ entry, source }) => source.labelled || entry.label !== undefined),
    what: `samples in ${folder}`,
    warnings: [...new Set(sources.flatMap(({ source }) => source.warnings))],
    read: (from, to, signal) => readAll(sources, from, to ?? Infinity, signal),
  };
}

/** Samples in a file, by its headers. */
export async function rowsIn(path: string): Promise<number> {
  if (isNpy(path)) return (await openNpy(path)).count;
  const arrays = await openNpz(path);
  return Math.max(0, ...[...arrays.values()].map(({ count }) => count));
}

async function* readAll(
  sources: readonly { readonly entry: LabelledFile; readonly source: RawSource }[],
  from: number,
  to: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Sample> {
  let first = 0;
  for (const { entry, source } of sources) {
    const count = source.count ?? 0;
    const [start, end] = [Math.max(0, from - first), Math.min(count, to - first)];
    first += count;
    if (start >= end) continue;
    for await (const sample of source.read(start, end, signal)) {
      yield entry.label === undefined ? sample : { label: entry.label, ...sample };
    }
  }
}
