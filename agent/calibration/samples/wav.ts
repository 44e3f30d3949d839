import type { FileHandle } from 'node:fs/promises';
import { SampleError } from './error.ts';

/** RIFF WAVE: PCM of 8, 16, 24 and 32 bits and 32-bit float, any number of channels. */

const MAX_CHUNKS = 1000;
const MAX_CHANNELS = 64;
const MAX_RATE_HZ = 768_000;
const FORMAT_PCM = 1;
const FORMAT_FLOAT = 3;
/** The real format is in the first bytes of a sub-format. */
const FORMAT_EXTENSIBLE = 0xfffe;

export interface WavFormat {
  readonly rateHz: number;
  readonly channels: number;
  /** 8, 16, 24 or 32 bits per sample. */
  readonly bits: number;
  readonly float: boolean;
  /** Where the sound starts in the file, and how many frames (one value per channel) it has. */
  readonly dataOffset: number;
  readonly frames: number;
}

/** Finds format and sound in an open .wav file by its chunk headers. */
export async function readWavFormat(file: FileHandle, title: string): Promise<WavFormat> {
  const { size } = await file.stat();
  const head = await readAt(file, 0, 12, title);
  if (head.toString('latin1', 0, 4) !== 'RIFF' || head.toString('latin1', 8, 12) !== 'WAVE') {
    throw new SampleError('unsupported', `${title}: not a RIFF WAVE file`);
  }
  let format: Omit<WavFormat, 'dataOffset' | 'frames'> | undefined;
  for (let at = 12, chunk = 0; at + 8 <= size && chunk < MAX_CHUNKS; chunk += 1) {
    // oxlint-disable-next-line no-await-in-loop -- each chunk says where the next one is
    const header = await readAt(file, at, 8, title);
    const id = header.toString('latin1', 0, 4);
    const length = header.readUInt32LE(4);
    // oxlint-disable-next-line no-await-in-loop -- as above
    if (id === 'fmt ')
      format = parseFormat(await readAt(file, at + 8, Math.min(length, 40), title), title);
    if (id === 'data' && format !== undefined) {
      return {
        ...format,
        dataOffset: at + 8,
        frames: framesIn(length, size - at - 8, format, title),
      };
    }
    at += 8 + length + (length % 2);
  }
  throw new SampleError(
    'unsupported',
    `${title}: the .wav file has no sound (fmt and data chunks)`,
  );
}

function parseFormat(bytes: Buffer, title: string) {
  if (bytes.length < 16)
    throw new SampleError('unsupported', `${title}: damaged .wav format chunk`);
  const tag = bytes.readUInt16LE(0);
  const code = tag === FORMAT_EXTENSIBLE && bytes.length >= 26 ? bytes.readUInt16LE(24) : tag;
  const channels = bytes.readUInt16LE(2);
  const rateHz = bytes.readUInt32LE(4);
  const bits = bytes.readUInt16LE(14);
  const float = code === FORMAT_FLOAT;
  const supported = float ? bits === 32 : code === FORMAT_PCM && [8, 16, 24, 32].includes(bits);
  const sane = channels >= 1 && channels <= MAX_CHANNELS && rateHz > 0 && rateHz <= MAX_RATE_HZ;
  if (supported && sane) return { rateHz, channels, bits, float };
  const what = `format ${code}, ${bits} bits, ${channels} channels, ${rateHz} Hz`;
  const known = 'PCM of 8 to 32 bits and 32-bit float are read';
  throw new SampleError('unsupported', `${title}: .wav ${what} is not supported (${known})`);
}

function framesIn(
  length: number,
  present: number,
  format: { readonly channels: number; readonly bits: number },
  title: string,
): number {
  // Recorders that write to a pipe cannot know the length and leave it at its largest value.
  const bytes = length >= 0xfffffff0 ? present : length;
  if (bytes > present) {
    const missing = `ends ${bytes - present} bytes too early`;
    throw new SampleError('truncated', `${title}: truncated: ${missing}`);
  }
  return Math.floor(bytes / (format.channels * (format.bits / 8)));
}

/** Frames `first` to before `first + count` mixed down to mono, full scale = 1. */
export async function readMono(
  file: FileHandle,
  format: WavFormat,
  first: number,
  count: number,
  title: string,
): Promise<Float32Array> {
  const frameBytes = format.channels * (format.bits / 8);
  const start = format.dataOffset + first * frameBytes;
  const bytes = await readAt(file, start, count * frameBytes, title);
  const read = elementReader(format);
  const out = new Float32Array(count);
  const step = format.bits / 8;
  for (let i = 0, at = 0; i < count; i += 1) {
    let sum = 0;
    for (let c = 0; c < format.channels; c += 1, at += step) sum += read(bytes, at);
    out[i] = sum / format.channels;
  }
  return out;
}

function elementReader({ bits, float }: WavFormat): (bytes: Buffer, at: number) => number {
  if (float) return (bytes, at) => bytes.readFloatLE(at);
  // 8-bit sound is unsigned, everything else signed.
  if (bits === 8) return (bytes, at) => (bytes.readUInt8(at) - 128) / 128;
  const scale = 2 ** (bits - 1);
  return (bytes, at) => bytes.readIntLE(at, bits / 8) / scale;
}

async function readAt(
  file: FileHandle,
  at: number,
  length: number,
  title: string,
): Promise<Buffer> {
  const out = Buffer.alloc(length);
  const { bytesRead } = await file.read(out, 0, length, at);
  if (bytesRead === length) return out;
  throw new SampleError('truncated', `${title}: truncated: ends at offset ${at + bytesRead}`);
}
