import * as fc from 'fast-check';
import { expect, test } from '@jest/globals';
import { uniqueTensorNames } from '../../../agent/model/tflite/tensor-names.ts';

const graph = (names: readonly string[], inputs: number[] = [], outputs: number[] = []) => ({
  tensors: names.map((name) => ({ name })),
  inputs,
  outputs,
});

test('inputs and outputs keep their names, whoever else has them', () => {
  expect(uniqueTensorNames(graph(['x', 'y', 'x', 'y'], [2], [3]))).toEqual([
    'x_2',
    'y_2',
    'x',
    'y',
  ]);
});

test('a number that is taken is passed over, and an empty name gets a word', () => {
  expect(uniqueTensorNames(graph(['a', 'a_2', 'a', '', 'a', '']))).toEqual([
    'a',
    'a_2',
    'a_3',
    'tensor',
    'a_4',
    'tensor_2',
  ]);
});

test('every tensor has a name of its own', () => {
  const names = fc.array(fc.constantFrom('', 'a', 'a_2', 'a_2_2', 'b', 'tensor', 'tensor_2'));
  fc.assert(
    fc.property(names, (given) => {
      const found = uniqueTensorNames(graph(given));
      expect(new Set(found).size).toBe(given.length);
      expect(found).not.toContain('');
    }),
  );
});
