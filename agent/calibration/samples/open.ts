import { open, stat } from 'node:fs/promises';
import type { InputSpec } from '../../contracts/manifest.ts';
import type { SessionDescription } from '../../runtime/types.ts';
import { checkPlainFile, fileError } from '../../util/files.ts';
import { openNpySource, openNpzSource } from './array-source.ts';
import { kindOfFile } from './arrays.ts';
import { type CommandOptions, commandSource } from './command-source.ts';
import { SampleError } from './error.ts';
import { openFolder, openSingleFile } from './folder.ts';
import { planInputs } from './plan.ts';
import type { InputPlan, RawSource, Sample, SampleSource } from './types.ts';

/** Where samples come from: a path (folder or file), or a command that writes them. */
export type SampleOrigin =
  { readonly path: string } | ({ readonly command: string } & CommandOptions);

export interface SampleRange {
  /** First sample, from 0. */
  readonly from?: number | undefined;
  /** One past the last sample. */
  readonly to?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Fewer samples than this say little about what the device will meet. */
export const FEW_SAMPLES = 32;

/**
 * Opens calibration or evaluation samples for a model: a folder (images, raw tensors, .wav), a .npy
 * or .npz file, a single image, .wav or raw file, or a command. Reads names and headers only; the
 * samples are read while the result is iterated. Throws SampleError or FileError.
 */
export async function openSamples(
  origin: SampleOrigin,
  inputs: Readonly<Record<string, InputSpec>>,
  description: SessionDescription,
  range: SampleRange = {},
): Promise<SampleSource> {
  const plans = planInputs(inputs, description);
  const raw =
    'command' in origin
      ? commandSource(origin.command, plans, origin)
      : await openPath(origin.path, plans);
  return applyRange(raw, range);
}

async function openPath(path: string, plans: readonly InputPlan[]): Promise<RawSource> {
  const head = await firstBytesOf(path);
  if (head === null) return openFolder(path, plans);
  const kind = kindOfFile(head);
  if (kind === 'npy') return openNpySource(path, plans);
  if (kind === 'npz') return openNpzSource(path, plans);
  return openSingleFile(path, plans);
}

/** The first bytes of a file, or null for a folder. */
export async function firstBytesOf(path: string): Promise<Uint8Array | null> {
  try {
    if ((await stat(path)).isDirectory()) return null;
    await checkPlainFile(path);
    const file = await open(path, 'r');
    try {
      const head = new Uint8Array(16);
      const { bytesRead } = await file.read(head, 0, head.length, 0);
      return head.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw fileError('read samples from', path, error);
  }
}

function applyRange(raw: RawSource, { from = 0, to, signal }: SampleRange): SampleSource {
  if (raw.count === 0) throw new SampleError('empty', `there are no ${raw.what}`);
  const last = to ?? raw.count;
  const sane = Number.isInteger(from) && from >= 0 && (last === null || from < last);
  if (!sane || (raw.count !== null && last !== null && last > raw.count)) {
    const have = raw.count === null ? '' : ` (there are ${raw.count})`;
    throw new SampleError('range', `from ${from} to ${last} is outside the ${raw.what}${have}`);
  }
  const count = last === null ? null : last - from;
  return {
    count,
    labelled: raw.labelled,
    describe: describe(raw, from, count),
    warnings: [...raw.warnings, ...fewSamples(count)],
    [Symbol.asyncIterator]: () => limited(raw, from, last, signal),
  };
}

function describe(raw: RawSource, from: number, count: number | null): string {
  if (count === null) return from === 0 ? raw.what : `${raw.what}, from ${from}`;
  if (count === raw.count) return `${count} ${raw.what}`;
  return `${from} to ${from + count} of ${raw.count ?? 'the'} ${raw.what}`;
}

function fewSamples(count: number | null): string[] {
  if (count === null || count >= FEW_SAMPLES) return [];
  return [`only ${count} samples; what fewer than ${FEW_SAMPLES} show is rough`];
}

/** The samples, with a check that a source of unknown length held as many as were asked for. */
async function* limited(
  raw: RawSource,
  from: number,
  to: number | null,
  signal: AbortSignal | undefined,
): AsyncGenerator<Sample, undefined> {
  let seen = 0;
  for await (const sample of raw.read(from, to, signal)) {
    signal?.throwIfAborted();
    seen += 1;
    yield sample;
  }
  signal?.throwIfAborted();
  if (seen === 0) throw new SampleError('empty', `there are no ${raw.what}`);
  if (to !== null && seen < to - from) {
    throw new SampleError('range', `${raw.what}: only ${from + seen}, ${to} were asked for`);
  }
}
