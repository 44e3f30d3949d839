import { describe, expect, test } from '@jest/globals';
import {
  elementCount,
  floatData,
  isConstant,
  storedBytes,
  tensorData,
  tensorNumbers,
} from '../../../agent/model/tflite/tensor.ts';
import { makeTensor } from '../../../agent/model/tflite/types.ts';
import type { TensorType } from '../../../agent/model/tflite/types.ts';
import { constant, value } from '../../support/tflite-models.ts';

const tensor = (type: TensorType, shape: readonly number[], ...bytes: readonly number[]) =>
  makeTensor({ name: 't', type, shape, data: Uint8Array.from(bytes) });

describe('values', () => {
  test.each([
    ['FLOAT32', [2], [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0], [1, -2]],
    ['FLOAT16', [3], [0, 0x3c, 0, 0xc0, 1, 0], [1, -2, 2 ** -24]],
    ['BFLOAT16', [2], [0x80, 0x3f, 0, 0xc0], [1, -2]],
    ['FLOAT64', [1], [0, 0, 0, 0, 0, 0, 0xf8, 0x3f], [1.5]],
    ['INT8', [3], [0, 0x7f, 0x80], [0, 127, -128]],
    ['UINT8', [2], [0, 0xff], [0, 255]],
    ['INT16', [2], [1, 0, 0xff, 0xff], [1, -1]],
    ['UINT16', [1], [0xff, 0xff], [65_535]],
    ['INT32', [], [0xfe, 0xff, 0xff, 0xff], [-2]],
    ['UINT32', [1], [0xfe, 0xff, 0xff, 0xff], [4_294_967_294]],
    ['INT64', [1], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], [-1]],
    ['UINT64', [1], [7, 0, 0, 0, 0, 0, 0, 0], [7]],
    ['BOOL', [2], [1, 0], [1, 0]],
    // The lower half of a byte comes first.
    ['INT4', [3], [0x7f, 0x08], [-1, 7, -8]],
    ['UINT4', [3], [0x7f, 0x08], [15, 7, 8]],
    // 0b11_10_01_00, and one of the next byte.
    ['INT2', [5], [0xe4, 0x02], [0, 1, -2, -1, -2]],
  ] as const)('of %s', (type, shape, bytes, numbers) => {
    expect(tensorNumbers(tensor(type, shape, ...bytes))).toEqual(numbers);
    expect(storedBytes(tensor(type, shape))).toBe(bytes.length);
  });

  test('are a view where they are aligned and a copy where they are not', () => {
    const bytes = new Uint8Array(new ArrayBuffer(24));
    bytes[8] = 5;
    const at = (start: number) =>
      tensorData(
        makeTensor({
          name: 't',
          type: 'INT32',
          shape: [2],
          data: bytes.subarray(start, start + 8),
        }),
      );
    expect(at(8).buffer).toBe(bytes.buffer);
    expect(at(8)[0]).toBe(5);
    expect(at(5).buffer).not.toBe(bytes.buffer);
    expect(at(5)[0]).toBe(5 * 2 ** 24);
  });

  test('float16 can be had as float32', () => {
    expect(floatData(tensor('FLOAT16', [2], 0, 0x3c, 0, 0xc0))).toEqual(Float32Array.of(1, -2));
    const floats = constant('f', Float32Array.of(1.5));
    expect(floatData(floats).buffer).toBe(floats.data?.buffer);
    expect(() => floatData(constant('i', Int8Array.of(1)))).toThrow(/expected float32 or float16/);
  });
});

describe('what is no good', () => {
  test.each([
    [
      'too few bytes',
      tensor('INT32', [2], 1, 2, 3, 4),
      /'t' \(INT32 \[2\]\): holds 4 bytes, not 8/,
    ],
    ['too many bytes', tensor('INT4', [2], 1, 2), /holds 2 bytes, not 1/],
    ['an unknown dimension', tensor('INT8', [-1], 1), /no such shape/],
    ['an absurd shape', tensor('INT8', [2 ** 31 - 1, 2 ** 31 - 1, 3]), /no such shape/],
    ['texts', tensor('STRING', [1], 1), /no numbers of this type/],
    ['a type without a name', tensor('#99', [1], 1), /no numbers of this type/],
    ['what is computed', value('t'), /no constant/],
    ['values elsewhere', { ...value('t'), externalBuffer: 3 }, /in another file/],
    [
      'sparse values',
      { ...tensor('INT8', [2], 1), sparsity: { traversalOrder: [0] } },
      /stored sparsely/,
    ],
    ['complex numbers', tensor('COMPLEX64', [1], 0, 0, 0, 0, 0, 0, 0, 0), /no plain numbers/],
  ])('%s', (_, bad, message) => {
    expect(() => tensorNumbers(bad)).toThrow(message);
  });
});

test('a scalar has one element, an empty dimension none', () => {
  expect([[], [3, 2], [3, 0]].map(elementCount)).toEqual([1, 6, 0]);
});

test('values in another file make a constant too', () => {
  expect(isConstant(value('x'))).toBe(false);
  expect(isConstant({ ...value('x'), externalBuffer: 1 })).toBe(true);
  expect(isConstant(constant('x', new Float32Array(0)))).toBe(true);
});
