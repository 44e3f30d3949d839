import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { openSamples } from '../../agent/calibration/samples/open.ts';
import {
  type Pixels,
  resizeBilinear,
  resizeCrop,
  toColor,
  toGray,
} from '../../agent/calibration/samples/pixels.ts';
import { type ImageSpec, imageInputSchema } from '../../agent/contracts/manifest.ts';
import { all, model, temporaryFolder, valuesOf } from './support.ts';

const gray = (width: number, ...data: number[]): Pixels => ({
  width,
  height: data.length / width,
  channels: 1,
  data: Uint8Array.from(data),
});

describe('resizeBilinear', () => {
  test('halves by a triangle over four neighbours', () => {
    // Weights 1/8 3/8 3/8 1/8 inside; at the edges 3/7 3/7 1/7 of what is there.
    const row = resizeBilinear(gray(4, 0, 70, 140, 210), 2, 1);
    expect([...row.data]).toEqual([50, 160]);
  });

  test('doubles between the centres', () => {
    const row = resizeBilinear(gray(2, 0, 100), 4, 1);
    expect([...row.data]).toEqual([0, 25, 75, 100]);
  });

  test('works on columns and channels alike', () => {
    const image = { width: 1, height: 2, channels: 2, data: Uint8Array.of(0, 100, 100, 200) };
    expect([...resizeBilinear(image, 1, 4).data]).toEqual([0, 100, 25, 125, 75, 175, 100, 200]);
  });

  test('leaves a picture of the right size alone', () => {
    const image = gray(2, 1, 2, 3, 4);
    expect(resizeBilinear(image, 2, 2)).toBe(image);
  });
});

test('resizeCrop covers the target and cuts out the centre', () => {
  const wide = gray(6, 1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16);
  expect([...resizeCrop(wide, 2, 2).data]).toEqual([3, 4, 13, 14]);
  const tall = gray(1, 10, 20, 30);
  expect(resizeCrop(tall, 2, 2)).toMatchObject({ width: 2, height: 2 });
});

test('gray is luma in fixed point, colour repeats gray', () => {
  const color = { width: 2, height: 1, channels: 3, data: Uint8Array.of(255, 0, 0, 10, 20, 30) };
  // (10 * 19595 + 20 * 38470 + 30 * 7471 + 32768) / 65536 = 18.65
  expect([...toGray(color).data]).toEqual([76, 18]);
  expect([...toColor(gray(2, 7, 8)).data]).toEqual([7, 7, 7, 8, 8, 8]);
  const alpha = { width: 1, height: 1, channels: 4, data: Uint8Array.of(1, 2, 3, 99) };
  expect([...toColor(alpha).data]).toEqual([1, 2, 3]);
});

const spec = (more: Partial<ImageSpec> = {}) => ({
  x: { image: imageInputSchema.parse({ width: 2, height: 1, ...more }) },
});

async function picture(folder: string, name: string, ...rgb: number[]): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const raw = { width: rgb.length / 3, height: 1, channels: 3 } as const;
  await sharp(Uint8Array.from(rgb), { raw }).png().toFile(join(folder, name));
}

describe('a folder of images', () => {
  const root = temporaryFolder();
  const pictures = model({ x: ['float32', [1, 3, 1, 2]] });

  test('goes by name without labels.csv', async () => {
    const folder = join(root, 'names');
    await picture(folder, 'b.png', 4, 5, 6, 7, 8, 9);
    await picture(folder, 'A.PNG', 1, 2, 3, 250, 251, 252);
    writeFileSync(join(folder, 'readme.txt'), 'not a picture');
    writeFileSync(join(folder, '.hidden.png'), 'not a picture');
    const source = await openSamples({ path: folder }, spec(), pictures);
    expect([source.count, source.labelled]).toEqual([2, false]);
    const [first, second] = await all(source);
    expect([first?.name, second?.name]).toEqual(['A.PNG', 'b.png']);
    expect(first?.feeds['x']).toEqual({
      dtype: 'float32',
      shape: [1, 3, 1, 2],
      data: Float32Array.of(1, 250, 2, 251, 3, 252),
    });
  });

  test('goes by labels.csv with it', async () => {
    const folder = join(root, 'labels');
    await picture(join(folder, 'in'), 'a.png', 1, 2, 3, 1, 2, 3);
    await picture(folder, 'b, c.png', 4, 5, 6, 4, 5, 6);
    writeFileSync(
      join(folder, 'labels.csv'),
      'label,file\r\n3,"b, c.png"\r\n-1,in/a.png\r\n,in/a.png\r\n',
    );
    const source = await openSamples({ path: folder }, spec({ layout: 'nchw' }), pictures);
    expect([source.count, source.labelled]).toEqual([3, true]);
    const samples = await all(source);
    expect(samples.map(({ name, label }) => [name, label])).toEqual([
      ['b, c.png', 3],
      ['in/a.png', undefined],
      ['in/a.png', undefined],
    ]);
  });

  test('does not turn pictures by their EXIF orientation', async () => {
    const folder = join(root, 'exif');
    mkdirSync(folder);
    const raw = { width: 2, height: 1, channels: 3 } as const;
    await sharp(Uint8Array.of(0, 0, 0, 255, 255, 255), { raw })
      .withMetadata({ orientation: 6 })
      .png()
      .toFile(join(folder, 'turned.png'));
    const [sample] = await all(await openSamples({ path: folder }, spec(), pictures));
    expect(valuesOf(sample)).toEqual([0, 255, 0, 255, 0, 255]);
  });

  test('feeds pixels as they are to models that take uint8', async () => {
    const folder = join(root, 'uint8');
    await picture(folder, 'a.png', 1, 2, 3, 4, 5, 6);
    const bytes = model({ x: ['uint8', [1, 1, 2, 3]] });
    const [sample] = await all(
      await openSamples({ path: folder }, spec({ layout: 'nhwc' }), bytes),
    );
    expect(sample?.feeds['x']?.data).toEqual(Uint8Array.of(1, 2, 3, 4, 5, 6));
  });

  test('fills the batch of a model that takes no smaller one', async () => {
    const folder = join(root, 'batch');
    await picture(folder, 'a.png', 1, 2, 3, 4, 5, 6);
    const pair = model({ x: ['float32', [2, 1, 2, 3]] });
    const [sample] = await all(await openSamples({ path: folder }, spec({ layout: 'nhwc' }), pair));
    expect(sample?.feeds['x']).toMatchObject({ shape: [2, 1, 2, 3] });
    expect(valuesOf(sample)).toEqual([1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6]);
  });

  test('a single picture is one sample', async () => {
    const folder = join(root, 'single');
    await picture(folder, 'a.png', 1, 2, 3, 4, 5, 6);
    const source = await openSamples({ path: join(folder, 'a.png') }, spec(), pictures);
    expect(await all(source)).toHaveLength(1);
  });

  test('names a file that is not an image', async () => {
    const folder = join(root, 'broken');
    await picture(folder, 'a.png', 1, 2, 3, 4, 5, 6);
    writeFileSync(join(folder, 'b.jpg'), 'no');
    const source = await openSamples({ path: folder }, spec(), pictures);
    await expect(all(source)).rejects.toThrow('b.jpg: cannot be read as an image');
    await expect(all(source)).rejects.toMatchObject({ kind: 'input', code: 'unsupported' });
  });

  test.each([
    ['file,label\nmissing.png,1\n', 'names missing.png, but there is no such file'],
    ['file,label\na.png,cat\n', 'labels.csv line 2: the label "cat" is not a whole number'],
    ['name,class\na.png,1\n', 'must name the columns file,label'],
    ['file,label\n../a.png,1\n', '"../a.png" is not a file inside the folder'],
    ['file,label\n', 'holds no samples'],
    ['file,label\na.png,1\nlabels.csv,2\n', 'labels.csv names labels.csv, not of kind image'],
  ])('refuses the labels.csv %j', async (text, message) => {
    const folder = join(root, 'wrong');
    await picture(folder, 'a.png', 1, 2, 3, 4, 5, 6);
    writeFileSync(join(folder, 'labels.csv'), text);
    await expect(openSamples({ path: folder }, spec(), pictures)).rejects.toThrow(message);
  });

  test('refuses a folder without samples, and pictures for an input of arrays', async () => {
    const folder = join(root, 'empty');
    mkdirSync(folder);
    await expect(openSamples({ path: folder }, spec(), pictures)).rejects.toThrow(
      /empty: holds no samples \(files ending in \.jpg/,
    );
    await picture(folder, 'a.png', 1, 2, 3, 4, 5, 6);
    await expect(openSamples({ path: folder }, {}, pictures)).rejects.toThrow(
      'holds image files; describe the input as an image (--image-size WxH',
    );
  });
});

describe('a folder of raw tensors', () => {
  const folder = join(temporaryFolder(), 'raw');
  mkdirSync(folder);
  writeFileSync(join(folder, '1.bin'), Uint8Array.of(1, 0, 0xff, 0xff));
  writeFileSync(join(folder, '2.bin'), Uint8Array.of(2, 0, 3, 0));

  test('takes the element type and the shape of the input, a batch of one', async () => {
    const input = model({ x: ['int16', ['batch', 2]] });
    const [first, second] = await all(await openSamples({ path: folder }, {}, input));
    expect(first?.feeds['x']).toEqual({
      dtype: 'int16',
      shape: [1, 2],
      data: Int16Array.of(1, -1),
    });
    expect(second?.feeds['x']?.data).toEqual(Int16Array.of(2, 3));
  });

  test('refuses files of another size, open shapes and several inputs', async () => {
    const wide = model({ x: ['float32', [1, 3]] });
    const source = await openSamples({ path: folder }, {}, wide);
    await expect(all(source)).rejects.toThrow('1.bin: expected 12 bytes for [1, 3], got 4');
    const unknown = model({ x: ['float32', [1, 'length']] });
    await expect(openSamples({ path: folder }, {}, unknown)).rejects.toThrow(
      'raw files need a fixed shape, but input x is float32 [1, length]',
    );
    const two = model({ x: ['int16', [2]], y: ['int16', [2]] });
    await expect(openSamples({ path: folder }, {}, two)).rejects.toThrow('use .npz for several');
  });
});
