import { describe, expect, test } from '@jest/globals';
import { readModel } from '../../../agent/model/tflite/generated/model.ts';
import { openTflite, writeTflite } from '../../../agent/model/tflite/open.ts';
import { readRoot } from '../../../agent/model/tflite/reader.ts';
import { makeOperator, makeTensor } from '../../../agent/model/tflite/types.ts';
import {
  add,
  constant,
  fileOf,
  tfliteBytes,
  throughFile,
  tinyTflite,
  value,
} from '../../support/tflite-models.ts';
import { sampleModel } from './sample.ts';
import { firstFile, storedZip, zipInFile } from './stored-zip.ts';

const tablesOf = (file: Uint8Array) => readRoot(file, 'Model', readModel).value;
const sequence = (length: number, first = 0) =>
  Uint8Array.from({ length }, (_, index) => (first + index) % 251);

/** A plain copy: what was a Buffer before is a Uint8Array afterwards. */
const plain = (bytes: Uint8Array | null | undefined) => bytes && Uint8Array.from(bytes);

describe('a model of a little of everything', () => {
  const sample = { ...sampleModel(), tail: null };
  const read = throughFile(sample);

  test('comes back as it was', () => {
    expect(read.subgraphs).toEqual(sample.subgraphs);
    expect(read.signatures).toEqual(sample.signatures);
    expect(read.externalBuffers).toEqual(sample.externalBuffers);
    expect(read.externalBufferGroups).toEqual(sample.externalBufferGroups);
    expect(read.description).toBe('made by hand');
    expect(read.metadata.map(({ name, data }) => [name, plain(data)])).toEqual([
      ['min_runtime_version', Uint8Array.from(Buffer.from('1.14.0\0\0'))],
    ]);
    expect(read.unusedBuffers).toEqual(sample.unusedBuffers);
    expect(read.constantsOutside).toBe(false);
  });

  test('tensors and metadata that share bytes share them afterwards', () => {
    const [first, again] = read.subgraphs[0]?.tensors.slice(2, 4) ?? [];
    expect(first?.data).not.toBeNull();
    expect(again?.data).toBe(first?.data);
    expect(read.metadataBuffers[0]).toBe(first?.data);
  });

  test('the first buffer is empty, and every other one starts at a multiple of 16', () => {
    const file = tfliteBytes(sample);
    const [first, ...others] = tablesOf(file).buffers ?? [];
    expect(first).toEqual({ data: undefined, offset: 0, size: 0 });
    const starts = others.map(({ data }) => ((data?.byteOffset ?? 0) - file.byteOffset) % 16);
    expect(starts).toEqual(others.map(() => 0));
    // shared, int4, sparse, scales, blocks, metadata, and one that nobody uses.
    expect(others).toHaveLength(7);
  });

  test('no bytes and no values are different things', () => {
    const tensors = [value('computed'), constant('empty', new Float32Array(0))];
    const [computed, empty] = throughFile(tinyTflite({ tensors })).subgraphs[0]?.tensors ?? [];
    expect(computed?.data).toBeNull();
    expect(empty?.data).toEqual(new Uint8Array(0));
  });

  test('what does not fit the format is refused, with its name', () => {
    const tensors = [{ ...value('x'), shape: [2 ** 31] }];
    expect(() => writeTflite(tinyTflite({ tensors }))).toThrow(/shape cannot be 2147483648/);
    const wrong = makeOperator({ op: 'ADD', inputs: [0.5], outputs: [] });
    expect(() => writeTflite(tinyTflite({ operators: [wrong] }))).toThrow(/inputs cannot be 0.5/);
  });
});

/**
 * Format 3c: a flatbuffer, and behind it two constants and custom options, each found by its place
 * in the file. The places are numbers in the flatbuffer, so its length does not depend on them.
 */
function outsideFile(): { readonly file: Uint8Array; readonly end: number } {
  const parts = [sequence(20), sequence(7, 100), sequence(33, 50)];
  const tablesAt = (base: number) => {
    const places = [base, base + 32, base + 48];
    return fileOf({
      operatorCodes: [{ deprecatedBuiltinCode: 32, builtinCode: 32, version: 1, customCode: 'C' }],
      buffers: [
        { offset: 0, size: 0 },
        { offset: places[0] ?? 0, size: 20 },
        { offset: places[1] ?? 0, size: 7 },
        { data: sequence(5), offset: 0, size: 0 },
      ],
      metadata: [{ name: 'm', buffer: 3 }],
      subgraphs: [
        {
          tensors: [1, 2, 1].map((buffer) => ({
            type: 'UINT8',
            shape: [buffer === 1 ? 20 : 7],
            buffer,
            isVariable: false,
            hasRank: true,
            externalBuffer: 0,
          })),
          operators: [
            {
              opcodeIndex: 0,
              customOptionsFormat: 'FLEXBUFFERS',
              largeCustomOptionsOffset: places[2] ?? 0,
              largeCustomOptionsSize: 33,
              debugMetadataIndex: -1,
            },
          ],
          debugMetadataIndex: -1,
        },
      ],
    });
  };
  const { length } = tablesAt(16);
  const base = Math.ceil(length / 16) * 16;
  const file = Buffer.alloc(base + 48 + 33);
  file.set(tablesAt(base));
  parts.forEach((part, index) => file.set(part, base + [0, 32, 48][index]!));
  return { file, end: length };
}

describe('constants outside the flatbuffer', () => {
  const { file } = outsideFile();
  const model = openTflite(file);

  test('are views on the file', () => {
    const [graph] = model.subgraphs;
    expect(graph?.tensors.map(({ data }) => plain(data))).toEqual([
      sequence(20),
      sequence(7, 100),
      sequence(20),
    ]);
    expect(graph?.tensors[2]?.data).toBe(graph?.tensors[0]?.data);
    expect(graph?.tensors[0]?.data?.buffer).toBe(file.buffer);
    expect(plain(graph?.operators[0]?.customOptions)).toEqual(sequence(33, 50));
    expect(model.constantsOutside).toBe(true);
    expect(model.tail).toBeNull();
  });

  test('stay outside when written, at multiples of 16, and what was inside stays inside', () => {
    const written = tfliteBytes(model);
    const again = openTflite(written);
    expect(again).toEqual(model);
    const { buffers, subgraphs } = tablesOf(written);
    const places = (buffers ?? []).filter(({ size }) => size > 0).map(({ offset }) => offset);
    const options = subgraphs?.[0]?.operators?.[0];
    expect(places).toHaveLength(2);
    expect(options?.customOptions).toBeUndefined();
    expect(
      [...places, options?.largeCustomOptionsOffset].map((place) => (place ?? 1) % 16),
    ).toEqual([0, 0, 0]);
    expect(buffers?.at(-1)?.data).toEqual(sequence(5));
    expect(Buffer.compare(tfliteBytes(again), written)).toBe(0);
  });

  test('are handed on as they lie', () => {
    const pieces = new Set(writeTflite(model));
    expect(pieces.has(model.subgraphs[0]!.tensors[0]!.data!)).toBe(true);
  });

  test('can be asked for', () => {
    const inside = tinyTflite({
      tensors: [constant('w', Float32Array.of(1, 2)), value('y')],
      operators: [add(0, 0, 1)],
    });
    const written = tfliteBytes({ ...inside, constantsOutside: true });
    expect(tablesOf(written).buffers?.[1]).toMatchObject({ data: undefined, size: 8 });
    expect(openTflite(written).subgraphs).toEqual(inside.subgraphs);
  });
});

test('constants of over 2 GB go outside, and are not copied', () => {
  // Memory that nobody touches: the writer only hands it on.
  const halves = [new Uint8Array(2 ** 30), new Uint8Array(2 ** 30)];
  const tensors = halves.map((data, index) =>
    makeTensor({ name: `w${index}`, type: 'INT8', shape: [data.length], data }),
  );
  const pieces = writeTflite(tinyTflite({ tensors }));
  const first = pieces.findIndex((piece) => piece === halves[0]);
  const head = Buffer.concat(pieces.slice(0, first));
  expect(tablesOf(head).buffers?.map(({ offset, size }) => [offset, size])).toEqual([
    [0, 0],
    [head.length, 2 ** 30],
    [head.length + 2 ** 30, 2 ** 30],
  ]);
  expect(pieces[first + 1]).toBe(halves[1]);
});

describe('what lies behind the model', () => {
  const archive = storedZip('labels.txt', Buffer.from('cat\ndog\n'));
  const base = tinyTflite({ tensors: [constant('w', new Float32Array(2000))] });
  const length = tfliteBytes(base).length;
  const smaller = [{ ...base.subgraphs[0]!, tensors: [constant('w', new Float32Array(2))] }];

  test('an archive can be unpacked after the model in front of it has changed', () => {
    const file = Buffer.concat([tfliteBytes(base), zipInFile(archive, length)]);
    expect(firstFile(file)).toEqual({ name: 'labels.txt', content: 'cat\ndog\n' });
    const written = tfliteBytes({ ...openTflite(file), subgraphs: smaller });
    expect(written.length).toBeLessThan(1000);
    expect(firstFile(written)).toEqual({ name: 'labels.txt', content: 'cat\ndog\n' });
    const again = openTflite(written);
    expect(again.tail?.bytes).toHaveLength(archive.length);
    expect(Buffer.compare(tfliteBytes(again), written)).toBe(0);
  });

  test('an archive that counts from its own start is written as it is', () => {
    const file = Buffer.concat([tfliteBytes(base), archive]);
    const written = tfliteBytes({ ...openTflite(file), subgraphs: smaller });
    expect(Buffer.compare(written.subarray(written.length - archive.length), archive)).toBe(0);
  });

  test('an archive behind constants outside the flatbuffer is found', () => {
    const written = tfliteBytes({
      ...base,
      constantsOutside: true,
      tail: { bytes: zipInFile(archive, 5), offset: 5 },
    });
    expect(firstFile(written).content).toBe('cat\ndog\n');
    expect(openTflite(written)).toMatchObject({ constantsOutside: true });
    expect(openTflite(written).tail?.bytes).toHaveLength(archive.length);
  });

  test('other bytes, which nothing in the model means, stay behind it', () => {
    const file = Buffer.concat([tfliteBytes(base), Buffer.from('something else')]);
    const model = openTflite(file);
    expect(Buffer.compare(tfliteBytes(model), file)).toBe(0);
    const written = tfliteBytes({ ...model, subgraphs: smaller });
    expect(written.length).toBeLessThan(1000);
    expect(written.subarray(-14).toString()).toBe('something else');
    expect(openTflite(written).subgraphs).toEqual(
      openTflite(tfliteBytes({ ...base, subgraphs: smaller })).subgraphs,
    );
  });

  test.each([
    ['a directory of another length', (bytes: Buffer) => bytes.writeUInt32LE(9, bytes.length - 10)],
    ['a directory elsewhere', (bytes: Buffer) => bytes.writeUInt32LE(9, bytes.length - 6)],
    ['a zip64 archive', (bytes: Buffer) => bytes.writeUInt32LE(2 ** 32 - 1, bytes.length - 6)],
    [
      'no entry in the directory',
      (bytes: Buffer) => bytes.writeUInt32LE(9, bytes.length - 22 - 56),
    ],
  ])('%s: not moved', (_, damage) => {
    const damaged = Buffer.from(zipInFile(archive, length));
    damage(damaged);
    const file = Buffer.concat([tfliteBytes(base), damaged]);
    expect(() => writeTflite({ ...openTflite(file), subgraphs: smaller })).toThrow(
      /hold a damaged or very large zip archive/,
    );
  });

  test('zeros are padding', () => {
    expect(openTflite(Buffer.concat([tfliteBytes(base), new Uint8Array(100)])).tail).toBeNull();
  });
});
