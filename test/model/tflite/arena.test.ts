import * as fc from 'fast-check';
import { expect, test } from '@jest/globals';
import { arenaBytes, planMemory } from '../../../agent/model/tflite/arena.ts';
import type { Lifetime } from '../../../agent/model/tflite/arena.ts';
import { makeOperator } from '../../../agent/model/tflite/types.ts';
import { constant, tinyTflite, value } from '../../support/tflite-models.ts';

test('a gap is used again, and places are multiples of 16', () => {
  const { offsets, bytes } = planMemory([
    { bytes: 64, first: 0, last: 1 },
    { bytes: 30, first: 1, last: 2 },
    { bytes: 60, first: 2, last: 3 },
    { bytes: 20, first: 0, last: 0 },
  ]);
  // 64 first; 60 lives later, in the same place; 30 beside both; 20 beside 64, before 30 lives.
  expect(offsets).toEqual([0, 64, 0, 64]);
  expect(bytes).toBe(96);
});

test('pieces that live at the same time never share a byte, and no plan is below the most at once', () => {
  const piece = fc
    .tuple(
      fc.integer({ min: 0, max: 200 }),
      fc.integer({ min: 0, max: 9 }),
      fc.integer({ min: 0, max: 9 }),
    )
    .map(([bytes, a, b]): Lifetime => ({ bytes, first: Math.min(a, b), last: Math.max(a, b) }));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const { offsets, bytes } = planMemory(pieces);
      pieces.forEach((one, i) => {
        expect(offsets[i]! % 16).toBe(0);
        expect(offsets[i]! + one.bytes).toBeLessThanOrEqual(bytes);
        pieces.slice(0, i).forEach((other, j) => {
          if (other.first > one.last || other.last < one.first) return;
          const apart =
            offsets[j]! + other.bytes <= offsets[i]! || offsets[i]! + one.bytes <= offsets[j]!;
          expect(apart || one.bytes === 0 || other.bytes === 0).toBe(true);
        });
      });
      const most = Array.from({ length: 10 }, (_, step) =>
        pieces.reduce(
          (sum, one) => (one.first <= step && one.last >= step ? sum + one.bytes : sum),
          0,
        ),
      );
      expect(bytes).toBeGreaterThanOrEqual(Math.max(...most));
    }),
  );
});

const relu = (input: number, output: number) =>
  makeOperator({ op: 'RELU', inputs: [input], outputs: [output] });

test('a chain needs two tensors at once, constants none, variables all the time', () => {
  const tensors = [
    value('x', [100], 'INT8'),
    value('a', [100], 'INT8'),
    value('b', [100], 'INT8'),
    value('y', [100], 'INT8'),
    constant('w', new Int8Array(1000)),
  ];
  const chain = {
    tensors,
    inputs: [0],
    outputs: [3],
    operators: [relu(0, 1), relu(1, 2), relu(2, 3)],
  };
  expect(arenaBytes(tinyTflite(chain))).toBe(2 * 112);
  const state = { ...value('state', [50], 'INT16'), isVariable: true };
  const stateful = {
    ...chain,
    tensors: [...tensors, state],
    operators: [relu(0, 1), makeOperator({ op: 'ADD', inputs: [1, 5], outputs: [2] }), relu(2, 3)],
  };
  expect(arenaBytes(tinyTflite(stateful))).toBe(3 * 112);
});

test('a size that is not known, or of texts, gives no estimate', () => {
  const text = { tensors: [value('x', [1], 'STRING')], inputs: [0], outputs: [0] };
  expect(arenaBytes(tinyTflite(text))).toBeNull();
});
