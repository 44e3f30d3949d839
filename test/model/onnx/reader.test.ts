import { expect, test, jest } from '@jest/globals';
import { Reader } from '../../../agent/model/onnx/reader.ts';
import { openOnnx, writeOnnx } from '../../../agent/model/onnx/open.ts';
import { tensorData, tensorNumbers } from '../../../agent/model/onnx/tensor.ts';
import {
  block,
  fixed32,
  join,
  modelOf,
  modelWithTensor,
  number,
  tag,
  varint,
} from '../../support/wire-bytes.ts';

const written = (bytes: Uint8Array) => new Uint8Array(Buffer.concat(writeOnnx(openOnnx(bytes))));

function onlyTensor(...fields: readonly Uint8Array[]) {
  const tensor = openOnnx(modelWithTensor(...fields)).graph.initializer[0];
  if (tensor === undefined) throw new Error('no tensor');
  return tensor;
}

const packedFloats = (...values: number[]) =>
  block(4, new Uint8Array(Float32Array.from(values).buffer));

test.each([
  [[0], 0n],
  [[0x7f], 127n],
  [[0x80, 0x01], 128n],
  [[0xff, 0xff, 0xff, 0xff, 0x0f], 4294967295n],
  [[0x80, 0x80, 0x80, 0x80, 0x10], 4294967296n],
  [[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f], 2n ** 53n - 1n],
  [[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], 2n ** 63n - 1n],
  [[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], -1n],
  [[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01], -(2n ** 63n)],
  [[0x81, 0x80, 0x00], 1n],
])('the varint %j is %s', (bytes, value) => {
  expect(new Reader(Uint8Array.from(bytes)).long(0)).toBe(value);
});

test.each([0, 1, -1, 127, 128, 2 ** 31, -(2 ** 31), 2 ** 53 - 1, 1 - 2 ** 53])(
  'the number %d is read as it was written',
  (value) => {
    expect(new Reader(varint(value)).int(0)).toBe(value);
  },
);

test('a number beyond 2^53 is refused where a plain number is wanted', () => {
  expect(() => new Reader(varint(2n ** 53n)).int(0)).toThrow(/number 9007199254740992 .*byte 0/);
});

test('dims are read packed and unpacked alike', () => {
  const data = block(9, new Uint8Array(24));
  const unpacked = onlyTensor(number(2, 1), number(1, 2), number(1, 3), data);
  const packed = onlyTensor(number(2, 1), block(1, varint(2), varint(3)), data);
  expect(unpacked.dims).toEqual([2, 3]);
  expect(packed.dims).toEqual([2, 3]);
});

test('numbers of a tensor may be packed, unpacked, or both', () => {
  const pieces = onlyTensor(
    number(2, 1),
    number(1, 5),
    packedFloats(1, 2),
    fixed32(4, 3),
    packedFloats(),
    packedFloats(4),
    fixed32(4, 5),
  );
  expect(tensorNumbers(pieces)).toEqual([1, 2, 3, 4, 5]);
  const longs = onlyTensor(
    number(2, 7),
    number(1, 4),
    number(7, -1),
    block(7, varint(2), varint(-(2n ** 63n))),
    number(7, 300),
  );
  expect([...tensorData(longs)]).toEqual([-1n, 2n, -(2n ** 63n), 300n]);
});

test('packed negative int32 take ten bytes and are written so', () => {
  const bytes = modelWithTensor(
    number(1, 3),
    number(2, 6),
    block(5, varint(-1), varint(-(2 ** 31)), varint(2 ** 31 - 1)),
  );
  const tensor = openOnnx(bytes).graph.initializer[0];
  expect(tensor?.int32Data).toEqual(Int32Array.of(-1, -(2 ** 31), 2 ** 31 - 1));
  // The writer puts the name, field 8, behind the numbers, field 5.
  const expected = modelOf(
    block(
      5,
      number(1, 3),
      number(2, 6),
      block(5, varint(-1), varint(-(2 ** 31)), varint(2 ** 31 - 1)),
      block(8, 'w'),
    ),
  );
  expect(written(bytes)).toEqual(expected);
});

test.each([
  ['uint64', 11, 13, [0n, 2n ** 64n - 1n, 2n ** 32n, 127n, 128n]],
  ['int64', 7, 7, [0n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 31n]],
])('%s keeps every bit on the way in and out', (_, field, dataType, values) => {
  const bytes = modelOf(
    block(5, number(1, values.length), number(2, dataType), block(field, ...values.map(varint))),
  );
  expect(written(bytes)).toEqual(bytes);
  const tensor = openOnnx(bytes).graph.initializer[0];
  expect(tensor && [...tensorData(tensor)]).toEqual(values);
});

test('byte fields and aligned numbers are views on the file', () => {
  const bytes = modelOf(
    block(5, number(1, 3), number(2, 2), block(9, Uint8Array.of(7, 8, 9))),
    block(5, number(1, 1), number(2, 11), block(10, new Uint8Array(8))),
  );
  const [raw] = openOnnx(bytes).graph.initializer;
  expect(raw?.rawData?.buffer).toBe(bytes.buffer);
  expect(raw && tensorData(raw).buffer).toBe(bytes.buffer);
  // Of eight possible positions of a double, one is aligned.
  const views = [0, 1, 2, 3, 4, 5, 6, 7].filter((offset) => {
    const shifted = join(new Uint8Array(offset), bytes);
    const doubles = openOnnx(shifted.subarray(offset)).graph.initializer[1]?.doubleData;
    return doubles?.buffer === shifted.buffer;
  });
  expect(views).toHaveLength(1);
});

test('unknown fields and messages survive byte for byte', () => {
  const future = [
    block(99, 'a message nobody knows'),
    number(100, -5),
    join(tag(101, 1), Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)),
    fixed32(0x1fffffff, 1.5),
  ];
  const node = block(1, block(1, 'x'), block(2, 'y'), block(4, 'Relu'), ...future);
  const info = block(11, block(1, 'x'), block(2, block(4, number(1, 7))), ...future);
  const bytes = join(
    number(1, 8),
    block(7, node, info, block(14, 'annotation'), ...future),
    block(8, number(2, 17), ...future),
    block(25, 'a function'),
    ...future,
  );
  expect(written(bytes)).toEqual(bytes);
});

test('documentation keeps its bytes, whatever their encoding', () => {
  const latin1 = Uint8Array.of(0x47, 0x72, 0xfc, 0xdf, 0x65);
  const bytes = join(number(1, 8), block(6, latin1), block(7, block(10, latin1)));
  expect(written(bytes)).toEqual(bytes);
});

// The clock is the machine's, and others may use it: a round that was disturbed is taken again.
jest.retryTimes(3);

test('a million numbers, packed or not, are read in no time', () => {
  const count = 1_000_000;
  const floats = new Uint8Array(new Float32Array(count).buffer);
  const ints = new Uint8Array(count).fill(5);
  const single = fixed32(4, 1);
  const unpacked = new Uint8Array(count * single.length);
  for (let at = 0; at < unpacked.length; at += single.length) unpacked.set(single, at);
  const started = performance.now();
  const bytes = modelOf(
    block(5, number(1, count), number(2, 1), block(4, floats)),
    block(5, number(1, count), number(2, 3), block(5, ints)),
    block(5, number(1, count), number(2, 1), unpacked),
  );
  const tensors = openOnnx(bytes).graph.initializer;
  expect(tensors.map((tensor) => tensorData(tensor).length)).toEqual([count, count, count]);
  writeOnnx(openOnnx(bytes));
  expect(performance.now() - started).toBeLessThan(4000);
});
