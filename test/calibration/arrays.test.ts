import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { openSamples } from '../../agent/calibration/samples/open.ts';
import type { SampleRange } from '../../agent/calibration/samples/open.ts';
import { imageInputSchema, type InputSpec } from '../../agent/contracts/manifest.ts';
import type { SessionDescription } from '../../agent/runtime/types.ts';
import { npy, npyWithHeader, npz } from './make-arrays.ts';
import { all, model, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const vector = model({ x: ['float32', [1, 3]] });
const array: InputSpec = { array: {} };
let files = 0;

function write(content: Uint8Array, extension = 'npy'): string {
  files += 1;
  const path = join(folder, `f${files}.${extension}`);
  writeFileSync(path, content);
  return path;
}

function read(
  content: Uint8Array,
  description: SessionDescription = vector,
  inputs: Readonly<Record<string, InputSpec>> = {},
  range: SampleRange = {},
) {
  return openSamples({ path: write(content) }, inputs, description, range);
}

/** The values of input x of all samples. */
async function values(content: Uint8Array, description = vector) {
  const samples = await all(await read(content, description));
  return samples.map(({ feeds }) => Array.from(feeds['x']?.data ?? [], Number));
}

const six = Float32Array.of(1, 2, 3, 4, 5, 6);

describe('.npy', () => {
  test('with the rank of the input the first axis is sample and batch at once', async () => {
    const [first, second] = await all(await read(npy('<f4', [2, 3], six)));
    expect(first?.feeds['x']).toEqual({ dtype: 'float32', shape: [1, 3], data: six.slice(0, 3) });
    expect(second?.feeds['x']?.data).toEqual(six.slice(3));
    expect(second?.name).toMatch(/\[1\]$/);
  });

  test('with one axis more the first axis is only the sample', async () => {
    const cube = model({ x: ['float32', [2, 3]] });
    const [only, ...rest] = await all(await read(npy('<f4', [1, 2, 3], six), cube));
    expect(only?.feeds['x']).toEqual({ dtype: 'float32', shape: [2, 3], data: six });
    expect(rest).toEqual([]);
  });

  test.each([
    ['<f8', Float64Array.of(1, -2, 3)],
    ['<i4', Int32Array.of(1, -2, 3)],
    ['<i8', BigInt64Array.of(1n, -2n, 3n)],
    ['|i1', Int8Array.of(1, -2, 3)],
    ['>i2', Buffer.from([0, 1, 0xff, 0xfe, 0, 3])],
    ['>f4', Buffer.from('3f800000c000000040400000', 'hex')],
    ['<f2', Uint16Array.of(0x3c00, 0xc000, 0x4200)],
  ])('%s becomes the element type of the input', async (descr, data) => {
    expect(await values(npy(descr, [1, 3], data))).toEqual([[1, -2, 3]]);
  });

  test('integers change width when they fit, and only then', async () => {
    const ids = model({ x: ['int64', [1, 2]] });
    expect(await values(npy('<i4', [1, 2], Int32Array.of(7, -1)), ids)).toEqual([[7, -1]]);
    const small = model({ x: ['int32', [1, 2]] });
    const big = npy('<i8', [1, 2], BigInt64Array.of(1n, 2n ** 31n));
    await expect(values(big, small)).rejects.toThrow('2147483648 does not fit');
    const floats = npy('<f4', [1, 2], Float32Array.of(1, 2));
    await expect(values(floats, ids)).rejects.toThrow('holds float32, the input takes int64');
  });

  test.each([2, 3])('version %d headers', async (version) => {
    expect(await values(npy('<f4', [2, 3], six, { version }))).toHaveLength(2);
  });

  test('a column in Fortran order is the same as in C order', async () => {
    const column = model({ x: ['float32', [1, 1]] });
    const data = npy('<f4', [6, 1], six, { fortran: true });
    expect((await values(data, column)).flat()).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('a range is taken, and iterating again starts anew', async () => {
    const source = await read(npy('<f4', [2, 3], six), vector, {}, { from: 1, to: 2 });
    expect(source.count).toBe(1);
    expect(source.describe).toMatch(/^1 to 2 of 2 samples in /);
    expect(source.warnings).toEqual(['only 1 samples; what fewer than 32 show is rough']);
    const [first] = await all(source);
    expect(first?.feeds['x']?.data).toEqual(six.slice(3));
    expect(await all(source)).toHaveLength(1);
  });

  test('uint8 under an image spec is a picture', async () => {
    const pictures = model({ x: ['float32', [1, 3, 1, 2]] });
    const image = imageInputSchema.parse({
      width: 2,
      height: 1,
      color: 'bgr',
      mean: [10, 20, 30],
      std: [2, 4, 5],
    });
    const pixels = npy('|u1', [1, 1, 2, 3], Uint8Array.of(40, 60, 12, 90, 100, 14));
    const [sample] = await all(await read(pixels, pictures, { x: { image } }));
    // Blue, green, red: each minus its own mean, over its own std.
    expect(sample?.feeds['x']).toEqual({
      dtype: 'float32',
      shape: [1, 3, 1, 2],
      data: Float32Array.of(1, 2, 10, 20, 2, 12),
    });
  });

  test('floats under an image spec are ready values', async () => {
    const pictures = model({ x: ['float32', [1, 1, 1, 3]] });
    const spec = {
      image: imageInputSchema.parse({ width: 3, height: 1, color: 'gray', mean: [9], std: [9] }),
    };
    const [sample] = await all(await read(npy('<f4', [2, 1, 1, 3], six), pictures, { x: spec }));
    expect(sample?.feeds['x']?.data).toEqual(six.slice(0, 3));
  });

  test.each([
    [
      'a shape that does not fit',
      npy('<f4', [3, 2], six),
      'expected [1, 3] for input x, got [1, 2]',
    ],
    ['a rank that does not fit', npy('<f4', [6], six), 'got []'],
    ['no samples', npy('<f4', [0, 3], new Float32Array(0)), 'there are no samples in'],
    ['empty samples', npy('<f4', [9, 0], new Float32Array(0)), 'are empty'],
    ['a number', npy('<f4', [], six), 'a single number'],
    ['missing values', npy('<f4', [3, 3], six), 'ends at offset 152, 12 bytes too early'],
    ['a cut header', npy('<f4', [2, 3], six).subarray(0, 60), 'ends at offset 60'],
    ['text', npy('<U3', [1, 3], six), 'dtype <U3 is not supported'],
    ['complex numbers', npy('<c8', [1, 3], six), 'dtype <c8 is not supported'],
    ['Fortran order', npy('<f4', [2, 3], six, { fortran: true }), 'ascontiguousarray'],
    ['version 9', npy('<f4', [2, 3], six, { version: 9 }), '.npy version 9'],
    ['a promise of exabytes', npy('<f8', [1, 2 ** 52, 2 ** 52], six), 'promises'],
    ['a huge sample', npy('<f8', [1, 2 ** 40], six), 'is too large'],
    [
      'records',
      npyWithHeader(
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
        Buffer.alloc(0),
      ),
      'structured records',
    ],
    [
      'a negative axis',
      npyWithHeader("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 3)}", Buffer.alloc(12)),
      'has the shape (-1, 3)',
    ],
    ['half a dictionary', npyWithHeader("{'descr': '<f4'", Buffer.alloc(12)), 'header is damaged'],
  ])('refuses %s', async (_, content, message) => {
    const error = values(content);
    await expect(error).rejects.toThrow(message);
    await expect(error).rejects.toMatchObject({ name: 'SampleError', kind: 'input' });
  });

  test.each([NaN, Infinity, -Infinity])('refuses %d', async (bad) => {
    const data = npy('<f4', [1, 3], Float32Array.of(0, bad, 0));
    await expect(values(data)).rejects.toThrow('[0]: value 1 is not a finite number');
  });

  test('refuses a header longer than anything real', async () => {
    const content = npy('<f4', [2, 3], six, { version: 2 });
    content.writeUInt32LE(0xffffffff, 8);
    await expect(values(content)).rejects.toThrow('header of 4294967295 bytes');
  });

  test.each([
    [{ from: 2 }, 'from 2 to 2 is outside'],
    [{ from: 0, to: 3 }, '(there are 2)'],
    [{ from: -1, to: 1 }, 'is outside'],
    [{ from: 0.5 }, 'is outside'],
  ])('refuses the range %j', async (range, message) => {
    await expect(read(npy('<f4', [2, 3], six), vector, {}, range)).rejects.toThrow(message);
  });

  test('feeds one input only', async () => {
    const two = model({ x: ['float32', [1, 3]], y: ['float32', [1, 3]] });
    await expect(read(npy('<f4', [2, 3], six), two)).rejects.toThrow('(x, y); use .npz');
    const spec: InputSpec = { constant: { dtype: 'float32', shape: [1, 3], data: [7, 8, 9] } };
    const [sample] = await all(await read(npy('<f4', [2, 3], six), two, { y: spec }));
    expect(sample?.feeds['y']?.data).toEqual(Float32Array.of(7, 8, 9));
  });
});

describe('.npz', () => {
  const two = model({ a: ['float32', [1, 3]], b: ['int64', [2]] });
  const a = npy('<f4', [2, 3], six);
  const b = npy('<i8', [2, 2], BigInt64Array.of(1n, 2n, 3n, 4n));

  test.each([true, false])('one array per input and labels (deflated: %p)', async (deflate) => {
    const labels = npy('<i4', [2], Int32Array.of(5, -1));
    const source = await read(npz({ a, b, labels }, deflate), two, { a: array });
    expect([source.count, source.labelled]).toEqual([2, true]);
    const [first, second] = await all(source);
    expect(first).toMatchObject({ label: 5 });
    expect(first?.feeds['b']).toEqual({
      dtype: 'int64',
      shape: [2],
      data: BigInt64Array.of(1n, 2n),
    });
    expect(second).not.toHaveProperty('label');
    expect(second?.feeds['a']?.data).toEqual(six.slice(3));
  });

  test('lists of labels keep their padding', async () => {
    const labels = npy('|i1', [2, 2], Int8Array.of(3, -1, 4, 5));
    const samples = await all(await read(npz({ a, b, labels }), two));
    expect(samples.map(({ label }) => label)).toEqual([
      [3, -1],
      [4, 5],
    ]);
  });

  test('a range starts in the middle of every member', async () => {
    const labels = npy('|u1', [2], Uint8Array.of(8, 9));
    const source = await read(npz({ a, b, labels }), two, {}, { from: 1, to: 2 });
    const [only] = await all(source);
    expect(only).toMatchObject({ label: 9 });
    expect(only?.feeds['b']?.data).toEqual(BigInt64Array.of(3n, 4n));
  });

  test('names of numpy.savez without names go by position', async () => {
    const samples = await all(await read(npz({ arr_0: a, arr_1: b }), two));
    expect(samples[0]?.feeds['a']?.data).toEqual(six.slice(0, 3));
    const single = await all(await read(npz({ anything: a }), vector));
    expect(single[1]?.feeds['x']?.data).toEqual(six.slice(3));
  });

  test('more labels than samples are fine, other arrays are mentioned', async () => {
    const labels = npy('<i4', [3], Int32Array.of(5, 6, 7));
    const source = await read(npz({ a, b, labels, extra: a }), two);
    expect(source.warnings[0]).toMatch(/ignored the arrays extra$/);
    expect(await all(source)).toHaveLength(2);
  });

  test('an input called labels is an input', async () => {
    const named = model({ labels: ['float32', [1, 3]] });
    const source = await read(npz({ labels: a }), named);
    expect(source.labelled).toBe(false);
    expect(await all(source)).toHaveLength(2);
  });

  const cut = npz({ a, b });
  const lying = npz({ a: npy('<f4', [9, 3], six), b });
  test.each([
    ['a missing array', npz({ a, c: b }), 'no array for input b (there: a, c)'],
    [
      'arrays of different lengths',
      npz({ a, b: npy('<i8', [1, 2], BigInt64Array.of(1n, 2n)) }),
      'differ in their samples: a 2, b 1',
    ],
    ['too few labels', npz({ a, b, labels: npy('<i4', [1], Int32Array.of(1)) }), '1 labels for 2'],
    [
      'labels that are not integers',
      npz({ a, b, labels: npy('<f4', [2], six.slice(0, 2)) }),
      'must be integers of shape [N]',
    ],
    ['a file that ends early', cut.subarray(0, cut.length - 30), 'cannot be read as .npz'],
    ['a member shorter than its header says', lying, 'truncated: ends at offset 152'],
    ['an archive without arrays', npz({}), 'no array for input a (there: none)'],
  ])('refuses %s', async (_, content, message) => {
    await expect(read(content, two)).rejects.toThrow(message);
  });

  test('a damaged member is an error that names it', async () => {
    const content = npz({ x: npy('<f4', [2, 3], six) });
    // Inside the deflated data, after the headers (30 bytes and the name).
    content.fill(0xff, 40, 60);
    await expect(read(content).then(all)).rejects.toThrow(/f\d+\.npy: x/);
  });

  test('leaving the loop early closes the files', async () => {
    const source = await read(npz({ x: npy('<f4', [2, 3], six) }));
    for await (const sample of source) {
      expect(sample.name).toMatch(/\[0\]/);
      break;
    }
    expect(await all(source)).toHaveLength(2);
  });
});

test('specs that fit no input are refused', async () => {
  const content = npy('<f4', [2, 3], six);
  await expect(read(content, vector, { z: array })).rejects.toThrow(
    'inputs.z: the model has no such input, only x',
  );
  const spec = { image: imageInputSchema.parse({ width: 8, height: 8 }) };
  await expect(read(content, vector, { x: spec })).rejects.toThrow(
    'inputs.x.image: expected [1, 3] for input x, got [1, 3, 8, 8]',
  );
});

test('a path that is not there is named', async () => {
  const missing = openSamples({ path: join(folder, 'nothing') }, {}, vector);
  await expect(missing).rejects.toThrow(/cannot read samples from .*nothing: no such file/);
});
