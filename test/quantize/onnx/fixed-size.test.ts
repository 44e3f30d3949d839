import { describe, expect, test } from '@jest/globals';
import { indexGraph, makeNode } from '../../../agent/model/onnx/graph.ts';
import { DataType, int64Tensor } from '../../../agent/model/onnx/tensor.ts';
import { hasFixedSize } from '../../../agent/quantize/onnx/fixed-size.ts';
import { tinyGraph } from '../../support/onnx-models.ts';
import type { TinyGraph, TinyValues } from '../../support/onnx-models.ts';
import { ranges, weights } from '../support.ts';

const FIXED: TinyValues = { x: [DataType.FLOAT, ['n', 3, 8, 8]] };
const OPEN: TinyValues = { x: [DataType.FLOAT, ['n', 3, 8, 'w']] };

function isFixed(inputs: TinyValues | undefined, nodes: TinyGraph['nodes'], axis = 3): boolean {
  const graph = tinyGraph({
    ...(inputs === undefined ? {} : { inputs }),
    outputs: { t: [DataType.FLOAT] },
    initializers: [weights('w', [3, 3, 1, 1], new Float32Array(9)), int64Tensor('s', [1, 3, 8, 8])],
    nodes,
  });
  const seen = Object.fromEntries(['x', 'y', 'a', 't'].map((name) => [name, [0, 1] as const]));
  const { tensors, ...rest } = ranges(seen);
  const shaped = [...tensors].map(
    ([name, one]) => [name, { ...one, shape: [1, 3, 8, 8] }] as const,
  );
  const statistics = { ...rest, tensors: new Map(shaped) };
  return hasFixedSize('t', axis, graph, { index: indexGraph(graph), statistics });
}

const conv = makeNode('Conv', ['x', 'w'], ['t']);

describe('a size is fixed', () => {
  test('where all inputs have sizes, whatever is between', () => {
    expect(
      isFixed(FIXED, [makeNode('Reshape', ['x', 's'], ['a']), makeNode('Erf', ['a'], ['t'])]),
    ).toBe(true);
  });

  test('where sizes are computed from shapes', () => {
    const nodes = [makeNode('Shape', ['x'], ['n']), makeNode('Reshape', ['x', 'n'], ['t'])];
    expect(isFixed(FIXED, nodes)).toBe(true);
  });

  test('along an axis that goes back to a fixed one', () => {
    expect(isFixed(OPEN, [conv], 2)).toBe(true);
  });
});

describe('a size is not fixed', () => {
  test('along an open axis', () => {
    expect(isFixed(OPEN, [conv], 3)).toBe(false);
  });

  test('of what a body captures: it has no inputs of its own', () => {
    expect(isFixed(undefined, [conv])).toBe(false);
  });

  test('of an input without a shape', () => {
    expect(isFixed({ x: [DataType.FLOAT] }, [conv])).toBe(false);
  });

  test('where it depends on values', () => {
    const nonZero = [makeNode('NonZero', ['x'], ['a']), makeNode('Conv', ['a', 'w'], ['t'])];
    expect(isFixed(FIXED, nonZero)).toBe(false);
    const computed = [
      makeNode('Cast', ['x'], ['a'], { attributes: { to: 7n } }),
      makeNode('Reshape', ['x', 'a'], ['t']),
    ];
    expect(isFixed(FIXED, computed)).toBe(false);
  });

  test('where one of two joined tensors has an open size', () => {
    const nodes = [makeNode('Relu', ['x'], ['a']), makeNode('Add', ['a', 'y'], ['t'])];
    const inputs: TinyValues = { ...FIXED, y: [DataType.FLOAT, ['n', 3, 8, 'w']] };
    expect(isFixed(inputs, nodes)).toBe(false);
  });
});
