import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { AudioSpec } from '../../contracts/manifest.ts';
import type { TensorDescription } from '../../runtime/types.ts';
import { fileError } from '../../util/files.ts';
import { MAX_SAMPLE_BYTES } from './arrays.ts';
import { SampleError, shapeText } from './error.ts';
import type { LabelledFile } from './labels.ts';
import { constantFeeds, finish, neededInputs } from './plan.ts';
import { readAhead } from './read-ahead.ts';
import type { InputPlan, RawSource, Sample } from './types.ts';
import { readMono, readWavFormat, type WavFormat } from './wav.ts';

/** A .wav file and the windows it gives, which are the samples. */
export interface Sound {
  readonly entry: LabelledFile;
  readonly path: string;
  readonly format: WavFormat;
  /** Index of its first window among all windows. */
  readonly firstWindow: number;
  readonly windows: number;
}

/**
 * Windows of .wav files as samples: float32, mono, full scale 1, resampled linearly where the rate
 * differs. A file shorter than one window gives one, padded with silence; a rest is left out.
 */
export async function openWavs(
  folder: string,
  files: readonly LabelledFile[],
  plans: readonly InputPlan[],
): Promise<RawSource> {
  const { plan, spec } = audioInput(plans, folder);
  const shape = windowShape(plan.description, spec.windowSamples);
  const sounds = await readSounds(folder, files, spec);
  const last = sounds.at(-1);
  const count = last === undefined ? 0 : last.firstWindow + last.windows;
  const constants = constantFeeds(plans);
  return {
    count,
    labelled: files.some(({ label }) => label !== undefined),
    what: `windows of ${spec.windowSamples} samples from ${sounds.length} .wav files in ${folder}`,
    warnings: resampleNotes(sounds, spec),
    read: (from, to) =>
      readAhead(from, to ?? count, async (index): Promise<Sample> => {
        const sound = soundAt(sounds, index);
        const window = index - sound.firstWindow;
        const { label } = sound.entry;
        const name = `${sound.entry.file} window ${window}`;
        const data = await readWindow(sound, window, spec);
        const feed = finish({ dtype: 'float32', shape, data }, plan, name);
        const feeds = { ...constants, [plan.name]: feed };
        return { feeds, name, ...(label !== undefined && { label }) };
      }),
  };
}

function audioInput(plans: readonly InputPlan[], folder: string) {
  const [plan, second] = neededInputs(plans);
  if (plan !== undefined && second === undefined && 'audio' in plan.spec) {
    return { plan, spec: plan.spec.audio };
  }
  const advice = 'sound feeds models with one audio input; use .npz for several inputs';
  throw new SampleError('unsupported', `${folder}: ${advice}`);
}

/** `[1, window]` laid out as the input wants it: other axes must be 1, at most one is left open. */
function windowShape({ name, shape }: TensorDescription, window: number): number[] {
  const sizes = shape.map((dim) => (typeof dim === 'number' && dim >= 0 ? dim : null));
  const fixed = sizes.reduce<number>((product, dim) => product * (dim ?? 1), 1);
  const openAxis = fixed === window ? -1 : sizes.lastIndexOf(null);
  const out = sizes.map((dim, axis) => dim ?? (axis === openAxis ? window / fixed : 1));
  const product = out.reduce((size, dim) => size * dim, 1);
  if (product === window && out.every((dim) => Number.isInteger(dim))) return out;
  const expected = `expected ${shapeText(shape)} for input ${name}`;
  throw new SampleError('shape', `${expected}, got a window of ${window} audio samples`);
}

/** Every file with the windows that it gives. */
export async function readSounds(
  folder: string,
  files: readonly LabelledFile[],
  spec: AudioSpec,
): Promise<readonly Sound[]> {
  const sounds: Sound[] = [];
  let firstWindow = 0;
  for (const entry of files) {
    const path = join(folder, entry.file);
    // oxlint-disable-next-line no-await-in-loop -- a few header bytes per file
    const format = await withFile(path, (file) => readWavFormat(file, entry.file));
    const windows = windowsIn(format, spec);
    sounds.push({ entry, path, format, firstWindow, windows });
    firstWindow += windows;
  }
  return sounds;
}

function windowsIn(format: WavFormat, { rateHz, windowSamples, hopSamples }: AudioSpec): number {
  const length = Math.floor((format.frames * rateHz) / format.rateHz);
  if (length === 0) return 0;
  return 1 + Math.max(0, Math.floor((length - windowSamples) / (hopSamples ?? windowSamples)));
}

function soundAt(sounds: readonly Sound[], index: number): Sound {
  const sound = sounds.findLast(({ firstWindow, windows }) => windows > 0 && firstWindow <= index);
  if (sound === undefined) throw new SampleError('range', `there is no window ${index}`);
  return sound;
}

/** One window at the wanted rate; frames past the end of the file are silence. */
async function readWindow(sound: Sound, window: number, spec: AudioSpec): Promise<Float32Array> {
  const { format, path, entry } = sound;
  const step = format.rateHz / spec.rateHz;
  const start = window * (spec.hopSamples ?? spec.windowSamples) * step;
  const first = Math.floor(start);
  // One frame more than the last position, to interpolate towards.
  const wanted = Math.ceil(start + (spec.windowSamples - 1) * step) + 1 - first;
  const count = Math.max(0, Math.min(wanted, format.frames - first));
  const { channels, bits } = format;
  if (count * channels * (bits / 8) > MAX_SAMPLE_BYTES) {
    throw new SampleError('shape', `${path}: a window of ${count} frames is too large`);
  }
  const frames = await withFile(path, (file) => readMono(file, format, first, count, entry.file));
  const out = new Float32Array(spec.windowSamples);
  for (let i = 0; i < out.length; i += 1) {
    const at = start - first + i * step;
    const low = Math.floor(at);
    const here = frames[low] ?? 0;
    // Past the last frame the sound holds its value for a fraction of a frame, then is silent.
    out[i] = here + ((frames[low + 1] ?? here) - here) * (at - low);
  }
  return out;
}

function resampleNotes(sounds: readonly Sound[], spec: AudioSpec): string[] {
  const other = sounds.filter(({ format }) => format.rateHz !== spec.rateHz);
  const [first] = other;
  if (first === undefined) return [];
  const example = `${first.entry.file} has ${first.format.rateHz} Hz`;
  return [`${other.length} .wav files were resampled to ${spec.rateHz} Hz (${example})`];
}

type OpenFile = Awaited<ReturnType<typeof open>>;

async function withFile<T>(path: string, work: (file: OpenFile) => Promise<T>): Promise<T> {
  try {
    const file = await open(path, 'r');
    try {
      return await work(file);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof SampleError) throw error;
    throw fileError('read', path, error);
  }
}
