import { expect, test } from '@jest/globals';
import { densify } from '../../../agent/model/tflite/densify.ts';
import { tensorNumbers } from '../../../agent/model/tflite/tensor.ts';
import type { SparsityParameters } from '../../../agent/model/tflite/types.ts';
import { constant } from '../../support/tflite-models.ts';

const whole = (denseSize: number) => ({ format: 'DENSE', denseSize }) as const;

const compressed = (segments: readonly number[], indices: readonly number[]) =>
  ({
    format: 'SPARSE_CSR',
    denseSize: 0,
    arraySegments: { kind: 'Int32Vector', values: Int32Array.from(segments) },
    arrayIndices: { kind: 'Uint16Vector', values: Uint16Array.from(indices) },
  }) as const;

const sparse = (
  values: readonly number[],
  shape: readonly number[],
  sparsity: SparsityParameters,
) => ({
  ...constant('w', Float32Array.from(values), { shape }),
  sparsity,
});

// The cases are those of Android's Neural Networks API for the same layout (DENSIFY).
test('rows, dense columns, sparse depth', () => {
  const tensor = sparse([6, 9, 8, 5, 7], [3, 2, 2], {
    traversalOrder: [0, 1, 2],
    blockMap: [],
    dimMetadata: [
      compressed([0, 2], [0, 2]),
      whole(2),
      compressed([0, 1, 3, 4, 5], [0, 0, 1, 0, 1]),
    ],
  });
  const dense = densify(tensor);
  expect(dense.sparsity).toBeUndefined();
  expect(tensorNumbers(dense)).toEqual([6, 0, 9, 8, 0, 0, 0, 0, 5, 0, 0, 7]);
});

test('dimensions in another order, all of them sparse', () => {
  const tensor = sparse([1, 7, 5, 2, 4, 8, 3, 9], [3, 2, 4], {
    traversalOrder: [0, 2, 1],
    dimMetadata: [
      compressed([0, 2], [0, 2]),
      compressed([0, 2, 5], [0, 2, 0, 2, 3]),
      compressed([0, 2, 3, 4, 6, 8], [0, 1, 1, 1, 0, 1, 0, 1]),
    ],
  });
  const numbers = tensorNumbers(densify(tensor));
  expect([0, 8, 16].map((from) => numbers.slice(from, from + 8))).toEqual([
    [1, 0, 0, 0, 7, 0, 5, 0],
    [0, 0, 0, 0, 0, 0, 0, 0],
    [0, 0, 4, 3, 2, 0, 8, 9],
  ]);
});

test('blocks of two by two', () => {
  const values = [1, 0, 0, 4, 2, 3, 0, 0, 0, 0, 0, 0, 5, 0, 0, 6];
  const tensor = sparse(values, [4, 4], {
    traversalOrder: [0, 1, 2, 3],
    blockMap: [0, 1],
    dimMetadata: [whole(2), whole(2), whole(2), whole(2)],
  });
  expect(tensorNumbers(densify(tensor))).toEqual([1, 0, 2, 3, 0, 4, 0, 0, 0, 0, 5, 0, 0, 0, 0, 6]);
});

test('a dense tensor is left as it is', () => {
  const tensor = constant('w', Float32Array.of(1));
  expect(densify(tensor)).toBe(tensor);
});

const good = sparse([1, 2], [2, 2], {
  traversalOrder: [0, 1],
  dimMetadata: [whole(2), compressed([0, 1, 2], [0, 1])],
});

test.each<[string, typeof good, string]>([
  ['too few values', { ...good, data: new Uint8Array(4) }, 'has fewer values than places'],
  [
    'segments cut off',
    sparse([1, 2], [2, 2], {
      traversalOrder: [0, 1],
      dimMetadata: [whole(2), compressed([0, 1], [0, 1])],
    }),
    'its sparse parts are cut off',
  ],
  [
    'a dimension twice',
    sparse([1, 2], [2, 2], { ...good.sparsity, traversalOrder: [0, 0] }),
    'names no dimension, or one twice',
  ],
  [
    'a dimension missing',
    sparse([1, 2], [2, 2], { ...good.sparsity, traversalOrder: [0] }),
    'its dimensions do not fit',
  ],
  ['more than memory', { ...good, shape: [2 ** 20, 2 ** 20] }, 'bytes unpacked'],
  [
    'endless dimensions',
    sparse([1], [1, 1], {
      traversalOrder: [0, 1],
      dimMetadata: [whole(2 ** 31 - 1), whole(2 ** 31 - 1)],
    }),
    'has fewer values than places',
  ],
])('%s: refused', (_, tensor, message) => {
  expect(() => densify(tensor)).toThrow(message);
});
