import { expect, test } from '@jest/globals';
import type { TensorProto } from '../../../agent/model/onnx/generated/messages.ts';
import {
  DataType,
  floatData,
  makeTensor,
  tensorData,
  tensorNumbers,
} from '../../../agent/model/onnx/tensor.ts';

const EMPTY: TensorProto = { name: 't', dims: [], stringData: [], externalData: [] };

/** [type, values, raw bytes, the same in the typed field that onnx.proto names for the type] */
const TYPES: readonly (readonly [
  keyof typeof DataType,
  readonly number[],
  ArrayBufferView,
  Partial<TensorProto>,
])[] = [
  ['FLOAT', [1.5, -2], Float32Array.of(1.5, -2), { floatData: Float32Array.of(1.5, -2) }],
  ['DOUBLE', [1e300, -2], Float64Array.of(1e300, -2), { doubleData: Float64Array.of(1e300, -2) }],
  ['UINT8', [0, 255], Uint8Array.of(0, 255), { int32Data: Int32Array.of(0, 255) }],
  ['INT8', [-128, 127], Int8Array.of(-128, 127), { int32Data: Int32Array.of(-128, 127) }],
  ['UINT16', [0, 65535], Uint16Array.of(0, 65535), { int32Data: Int32Array.of(0, 65535) }],
  ['INT16', [-32768, 7], Int16Array.of(-32768, 7), { int32Data: Int32Array.of(-32768, 7) }],
  ['INT32', [-1, 7], Int32Array.of(-1, 7), { int32Data: Int32Array.of(-1, 7) }],
  ['INT64', [-1, 7], BigInt64Array.of(-1n, 7n), { int64Data: BigInt64Array.of(-1n, 7n) }],
  [
    'UINT32',
    [4294967295],
    Uint32Array.of(4294967295),
    { uint64Data: BigUint64Array.of(4294967295n) },
  ],
  ['UINT64', [2 ** 40], BigUint64Array.of(2n ** 40n), { uint64Data: BigUint64Array.of(2n ** 40n) }],
  ['BOOL', [0, 1], Uint8Array.of(0, 1), { int32Data: Int32Array.of(0, 1) }],
  // 0x3e00 is 1.5, 0xfbff the lowest float16, 0x0001 the smallest subnormal.
  [
    'FLOAT16',
    [1.5, -65504, 2 ** -24],
    Uint16Array.of(0x3e00, 0xfbff, 1),
    { int32Data: Int32Array.of(0x3e00, 0xfbff, 1) },
  ],
  // bfloat16 is the upper half of a float32: 1.5 = 0x3fc00000.
  [
    'BFLOAT16',
    [1.5, -1],
    Uint16Array.of(0x3fc0, 0xbf80),
    { int32Data: Int32Array.of(0x3fc0, 0xbf80) },
  ],
  // The first value lies in the low half of the byte; three values leave half a byte unused.
  ['UINT4', [1, 15, 8], Uint8Array.of(0xf1, 0x08), { int32Data: Int32Array.of(0xf1, 0x08) }],
  ['INT4', [1, -1, -8], Uint8Array.of(0xf1, 0x08), { int32Data: Int32Array.of(0xf1, 0x08) }],
];

test.each(TYPES)('%s is read from raw bytes and from its own field', (type, values, raw, typed) => {
  const shape = { ...EMPTY, dataType: DataType[type], dims: [values.length] };
  const rawData = new Uint8Array(raw.buffer);
  expect(tensorNumbers({ ...shape, rawData })).toEqual(values);
  expect(tensorNumbers({ ...shape, ...typed })).toEqual(values);
});

test.each(TYPES)('%s bytes that are not aligned are copied', (type, values, raw) => {
  const bytes = new Uint8Array(raw.byteLength + 1);
  bytes.set(new Uint8Array(raw.buffer), 1);
  const tensor = { ...EMPTY, dataType: DataType[type], dims: [values.length] };
  expect(tensorNumbers({ ...tensor, rawData: bytes.subarray(1) })).toEqual(values);
  // Buffer.slice makes views where Uint8Array.slice makes copies.
  const buffer = Buffer.from(bytes.buffer).subarray(1);
  expect(tensorNumbers({ ...tensor, rawData: buffer })).toEqual(values);
});

test.each([
  ['COMPLEX64', { floatData: Float32Array.of(1, 2, 3, 4) }, new Float32Array([1, 2, 3, 4])],
  ['COMPLEX128', { doubleData: Float64Array.of(1, 2, 3, 4) }, new Float64Array([1, 2, 3, 4])],
] as const)('%s gives real and imaginary parts in turn', (type, typed, data) => {
  const shape = { ...EMPTY, dataType: DataType[type], dims: [2] };
  expect(tensorData({ ...shape, ...typed })).toEqual(data);
  expect(tensorData({ ...shape, rawData: new Uint8Array(data.buffer) })).toEqual(data);
  expect(() => tensorNumbers({ ...shape, ...typed })).toThrow(/no plain numbers/);
  expect(() => tensorData({ ...shape, dims: [4], ...typed })).toThrow(/holds 4 values/);
});

test('texts are no numbers', () => {
  const texts = { ...EMPTY, dataType: DataType.STRING, dims: [1], stringData: [Buffer.from('a')] };
  expect(() => tensorData(texts)).toThrow("tensor 't' (string [1]): no numbers of this type");
});

test('an empty tensor and a scalar are tensors', () => {
  expect(tensorNumbers(makeTensor('e', DataType.FLOAT, [0, 5], new Float32Array(0)))).toEqual([]);
  expect(tensorNumbers(makeTensor('s', DataType.FLOAT, [], Float32Array.of(4)))).toEqual([4]);
  expect(() => makeTensor('s', DataType.FLOAT, [2], Float32Array.of(4))).toThrow(/4 bytes/);
});

test('floats are float32 or refused', () => {
  const float = { ...EMPTY, dims: [2], dataType: DataType.FLOAT };
  expect(floatData({ ...float, floatData: Float32Array.of(1, 2) })).toEqual(Float32Array.of(1, 2));
  for (const dataType of [DataType.DOUBLE, DataType.COMPLEX64, DataType.INT32]) {
    const other = makeTensor(
      't',
      dataType,
      [1],
      new Uint8Array(dataType === DataType.INT32 ? 4 : 8),
    );
    expect(() => floatData(other)).toThrow('expected float32');
  }
});
