import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { openSamples } from '../../agent/calibration/samples/open.ts';
import type { InputSpec } from '../../agent/contracts/manifest.ts';
import { all, model, temporaryFolder, valuesOf } from './support.ts';

const root = temporaryFolder();
let folders = 0;

interface Wav {
  readonly format?: number;
  readonly channels?: number;
  readonly rate?: number;
  readonly bits?: number;
  readonly length?: number;
  readonly before?: Buffer;
}

function wav(data: Uint8Array, options: Wav = {}): Buffer {
  const { format = 1, channels = 1, rate = 8000, bits = 16, length, before } = options;
  const fmt = Buffer.alloc(24);
  fmt.write('fmt ', 'latin1');
  fmt.writeUInt32LE(16, 4);
  fmt.writeUInt16LE(format, 8);
  fmt.writeUInt16LE(channels, 10);
  fmt.writeUInt32LE(rate, 12);
  fmt.writeUInt16LE(bits, 22);
  const head = Buffer.alloc(8);
  head.write('data', 'latin1');
  head.writeUInt32LE(length ?? data.length, 4);
  const riff = Buffer.from('RIFF\0\0\0\0WAVE', 'latin1');
  return Buffer.concat([riff, before ?? Buffer.alloc(0), fmt, head, data]);
}

const int16 = (...values: number[]) => new Uint8Array(Int16Array.from(values).buffer);

function folderOf(files: Readonly<Record<string, Uint8Array>>): string {
  folders += 1;
  const folder = join(root, String(folders));
  mkdirSync(folder);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}

function read(path: string, windowSamples: number, hopSamples?: number, rateHz = 8000) {
  const hop = hopSamples === undefined ? {} : { hopSamples };
  const spec: InputSpec = { audio: { rateHz, windowSamples, ...hop } };
  const input = model({ x: ['float32', [1, windowSamples]] });
  return openSamples({ path }, { x: spec }, input);
}

async function windows(file: Buffer, window: number, hop?: number, rate?: number) {
  const samples = await all(await read(folderOf({ 'a.wav': file }), window, hop, rate));
  return samples.map((sample) => valuesOf(sample));
}

test.each([
  [8, 1, Uint8Array.of(128, 192, 0)],
  [16, 1, int16(0, 16384, -32768)],
  [24, 1, Uint8Array.of(0, 0, 0, 0, 0, 0x40, 0, 0, 0x80)],
  [32, 1, new Uint8Array(Int32Array.of(0, 2 ** 30, -(2 ** 31)).buffer)],
  [32, 3, new Uint8Array(Float32Array.of(0, 0.5, -1).buffer)],
])('%i bits of format %i', async (bits, format, data) => {
  expect(await windows(wav(data, { bits, format }), 3)).toEqual([[0, 0.5, -1]]);
});

test('windows overlap by the hop; a rest is left out', async () => {
  const file = wav(int16(0, 8192, 16384, 24576, 0));
  expect(await windows(file, 2, 1)).toHaveLength(4);
  expect(await windows(file, 2)).toEqual([
    [0, 0.25],
    [0.5, 0.75],
  ]);
});

test('a file shorter than one window is padded with silence', async () => {
  expect(await windows(wav(int16(16384)), 3)).toEqual([[0.5, 0, 0]]);
});

test('stereo is mixed down', async () => {
  const file = wav(int16(16384, 0, -16384, -16384), { channels: 2 });
  expect(await windows(file, 2)).toEqual([[0.25, -0.5]]);
});

test('other rates are resampled linearly and mentioned', async () => {
  const file = wav(int16(0, 8192, 16384, 24576), { rate: 4000 });
  expect(await windows(file, 4)).toEqual([
    [0, 0.125, 0.25, 0.375],
    [0.5, 0.625, 0.75, 0.75],
  ]);
  const source = await read(folderOf({ 'a.wav': file }), 4);
  expect(source.warnings[0]).toBe('1 .wav files were resampled to 8000 Hz (a.wav has 4000 Hz)');
  expect(await windows(wav(int16(0, 8192, 16384, 24576), { rate: 16000 }), 2)).toEqual([[0, 0.5]]);
});

test('windows of all files count as samples', async () => {
  const folder = folderOf({
    'b.wav': wav(int16(1, 2, 3, 4)),
    'a.wav': wav(int16(5, 6)),
    'empty.wav': wav(int16()),
    'labels.csv': Buffer.from('file,label\nb.wav,4\nempty.wav,1\na.wav,7\n'),
  });
  const source = await read(folder, 2);
  expect([source.count, source.labelled]).toEqual([3, true]);
  const samples = await all(source);
  expect(samples.map(({ name, label }) => `${name} ${String(label)}`)).toEqual([
    'b.wav window 0 4',
    'b.wav window 1 4',
    'a.wav window 0 7',
  ]);
});

test('other chunks are passed over, and a length that a pipe left open is the rest', async () => {
  const before = Buffer.from('LIST\x03\0\0\0abc\0', 'latin1');
  expect(await windows(wav(int16(16384), { before, length: 0xffffffff }), 1)).toEqual([[0.5]]);
});

test('the window is laid out as the input wants it', async () => {
  const path = folderOf({ 'a.wav': wav(int16(16384, 0)) });
  const spec: InputSpec = { audio: { rateHz: 8000, windowSamples: 2 } };
  const shapes = async (shape: (number | string)[]) => {
    const source = await openSamples({ path }, { x: spec }, model({ x: ['float32', shape] }));
    return (await all(source)).map(({ feeds }) => feeds['x']?.shape);
  };
  expect(await shapes([2])).toEqual([[2]]);
  expect(await shapes([1, 2, 1])).toEqual([[1, 2, 1]]);
  expect(await shapes(['batch', 'time'])).toEqual([[1, 2]]);
  await expect(shapes([1, 3])).rejects.toThrow('expected [1, 3] for input x, got a window of 2');
});

test.each([
  ['something else', Buffer.from('RIFF\0\0\0\0AVI '), 'not a RIFF WAVE file'],
  ['no sound', wav(int16(1)).subarray(0, 36), 'has no sound'],
  ['missing sound', wav(int16(1), { length: 100 }), 'ends 98 bytes too early'],
  ['64-bit floats', wav(int16(1), { format: 3, bits: 64 }), 'format 3, 64 bits'],
  ['compressed sound', wav(int16(1), { format: 85 }), 'format 85'],
  ['no channels', wav(int16(1), { channels: 0 }), '0 channels'],
  ['a cut header', Buffer.from('RIFF\0'), 'truncated: ends at offset 5'],
])('refuses %s', async (_, file, message) => {
  await expect(read(folderOf({ 'x.wav': file }), 1)).rejects.toThrow(`x.wav: `);
  await expect(read(folderOf({ 'x.wav': file }), 1)).rejects.toThrow(message);
});

test('a single .wav file needs no folder', async () => {
  const path = join(folderOf({ 'a.wav': wav(int16(16384, 0)) }), 'a.wav');
  expect(await all(await read(path, 1))).toHaveLength(2);
});
