import { open } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import type { InputSpec } from '../../contracts/manifest.ts';
import type { Feeds, Tensor } from '../../runtime/types.ts';
import { fileError } from '../../util/files.ts';
import { MAX_SAMPLE_BYTES } from './arrays.ts';
import { SampleError, shapeText } from './error.ts';
import { decodeImage } from './image.ts';
import { type LabelledFile, listFolder } from './labels.ts';
import { bytesPerElement, viewAs } from './npy.ts';
import { constantFeeds, feedFromPixels, finish, neededInputs } from './plan.ts';
import { readAhead } from './read-ahead.ts';
import type { InputPlan, RawSource, Sample } from './types.ts';
import { openArrayFiles } from './array-files.ts';
import { openWavs } from './wav-source.ts';

const KINDS = {
  image: ['.jpg', '.jpeg', '.png', '.webp', '.gif', '.tif', '.tiff', '.avif'],
  raw: ['.bin', '.raw'],
  wav: ['.wav'],
  arrays: ['.npz', '.npy'],
} as const;

export type Kind = keyof typeof KINDS;

/** A folder of images, raw tensors, .wav or array files; told apart by the names of the files in it. */
export async function openFolder(folder: string, plans: readonly InputPlan[]): Promise<RawSource> {
  const files = await listFolder(folder);
  const kind = kindOf(files, folder, plans);
  const used = files.filter(({ file }) => hasKind(file, kind));
  const odd = files.find(({ file, label }) => label !== undefined && !hasKind(file, kind));
  if (odd !== undefined) {
    throw new SampleError('labels', `${folder}: labels.csv names ${odd.file}, not of kind ${kind}`);
  }
  return openFiles(folder, used, kind, plans);
}

/** The files of a folder that are samples, in order, and of which kind: what `openFolder` counts. */
export async function samplesIn(
  folder: string,
  specs: readonly InputSpec[],
): Promise<{ readonly kind: Kind; readonly files: readonly LabelledFile[] }> {
  const files = await listFolder(folder);
  const kind = kindFor(files, folder, wantedKind(specs));
  return { kind, files: files.filter(({ file }) => hasKind(file, kind)) };
}

/** A single file of a kind that a folder may hold. */
export function openSingleFile(path: string, plans: readonly InputPlan[]): Promise<RawSource> {
  const folder = path.slice(0, path.length - basename(path).length);
  const files = [{ file: basename(path) }];
  return openFiles(folder, files, kindOf(files, path, plans), plans);
}

async function openFiles(
  folder: string,
  files: readonly LabelledFile[],
  kind: Kind,
  plans: readonly InputPlan[],
): Promise<RawSource> {
  if (kind === 'wav') return openWavs(folder, files, plans);
  if (kind === 'arrays') return openArrayFiles(folder, files, plans);
  const load = kind === 'image' ? imageLoader(plans, folder) : rawLoader(plans, folder);
  const constants = constantFeeds(plans);
  return {
    count: files.length,
    labelled: files.some(({ label }) => label !== undefined),
    what: `${kind === 'image' ? 'images' : 'raw tensors'} in ${folder}`,
    warnings: [],
    read: (from, to) =>
      readAhead(from, to ?? files.length, async (index): Promise<Sample> => {
        const { file, label } = files[index] ?? { file: '' };
        const feeds = { ...constants, ...(await load(file)) };
        return { feeds, name: file, ...(label !== undefined && { label }) };
      }),
  };
}

function hasKind(file: string, kind: Kind): boolean {
  const extensions: readonly string[] = KINDS[kind];
  return extensions.includes(extname(file).toLowerCase());
}

/** The kind that the files have and the inputs can take. */
function kindOf(files: readonly LabelledFile[], folder: string, plans: readonly InputPlan[]): Kind {
  return kindFor(files, folder, wantedKind(neededInputs(plans).map(({ spec }) => spec)));
}

function kindFor(files: readonly LabelledFile[], folder: string, wanted: Kind): Kind {
  const kinds: readonly Kind[] = ['image', 'wav', 'raw', 'arrays'];
  const present = kinds.filter((kind) => files.some(({ file }) => hasKind(file, kind)));
  // Arrays say themselves what they are; any input takes them.
  const kind =
    present.find((one) => one === wanted) ??
    present.find((one) => one === 'raw') ??
    present.find((one) => one === 'arrays');
  if (kind !== undefined) return kind;
  const other = present[0];
  if (other === undefined) {
    const all = Object.values(KINDS).flat().join(' ');
    throw new SampleError('empty', `${folder}: holds no samples (files ending in ${all})`);
  }
  const advice =
    other === 'image'
      ? 'describe the input as an image (--image-size WxH, or "image" in the manifest)'
      : 'describe the input as audio (--audio-rate HZ --audio-window N, or "audio" in the manifest)';
  throw new SampleError('unsupported', `${folder}: holds ${other} files; ${advice}`);
}

function wantedKind(specs: readonly InputSpec[]): Kind {
  if (specs.length > 0 && specs.every((spec) => 'image' in spec)) return 'image';
  return specs.length > 0 && specs.every((spec) => 'audio' in spec) ? 'wav' : 'raw';
}

/** Every image input gets the same picture, each in its own size and scale. */
function imageLoader(plans: readonly InputPlan[], folder: string) {
  return async (file: string): Promise<Feeds> => {
    const feeds: Record<string, Tensor> = {};
    for (const plan of neededInputs(plans)) {
      if (!('image' in plan.spec)) continue;
      const { image } = plan.spec;
      // oxlint-disable-next-line no-await-in-loop -- nearly always one input; bounds memory
      const pixels = await decodeImage(join(folder, file), file, image);
      feeds[plan.name] = feedFromPixels(plan, pixels, image);
    }
    return feeds;
  };
}

function rawLoader(plans: readonly InputPlan[], folder: string) {
  const [plan, second] = neededInputs(plans);
  if (plan === undefined || second !== undefined) {
    const advice = 'raw files feed models with one input; use .npz for several';
    throw new SampleError('unsupported', `${folder}: ${advice}`);
  }
  const { dtype, shape: declared } = plan.description;
  // The first axis left open is the batch; any other one has no known size.
  const shape = declared.map((dim, axis) => (typeof dim !== 'number' && axis === 0 ? 1 : dim));
  const sizes = shape.filter((dim) => typeof dim === 'number' && dim >= 0).map(Number);
  const itemBytes = bytesPerElement(dtype);
  if (itemBytes === null || sizes.length !== shape.length) {
    const why = `input ${plan.name} is ${dtype} ${shapeText(declared)}`;
    throw new SampleError('shape', `${folder}: raw files need a fixed shape, but ${why}`);
  }
  const length = sizes.reduce((product, dim) => product * dim, 1);
  return async (file: string): Promise<Feeds> => {
    const bytes = await readExactly(join(folder, file), length * itemBytes, shapeText(sizes));
    const tensor = { dtype, shape: sizes, data: viewAs(dtype, bytes, length) };
    return { [plan.name]: finish(tensor, plan, file) };
  };
}

async function readExactly(path: string, bytes: number, shape: string): Promise<Uint8Array> {
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      if (size !== bytes || bytes > MAX_SAMPLE_BYTES) {
        const expected = `expected ${bytes} bytes for ${shape}, got ${size}`;
        throw new SampleError('shape', `${path}: ${expected}`);
      }
      const out = new Uint8Array(bytes);
      await file.read(out, 0, bytes, 0);
      return out;
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof SampleError) throw error;
    throw fileError('read', path, error);
  }
}
