import { expect, test } from '@jest/globals';
import {
  along,
  concat,
  reshape,
  select,
  transpose,
  unify,
} from '../../../agent/quantize/equalize/layout.ts';
import type { Layout } from '../../../agent/quantize/equalize/layout.ts';
import { Variables } from '../../../agent/quantize/equalize/variables.ts';

const channels = (count: number) => Int32Array.from({ length: count }, (_, i) => i);
const plain = ({ dims, ids }: Layout) => ({ dims, ids: [...ids] });

test('a channel shuffle ends up with its channels interleaved', () => {
  const split = reshape(along(4, 1, channels(6)), [1, 6, 3, 3], [1, 2, 3, 3, 3])!;
  const turned = transpose(split, [0, 2, 1, 3, 4]);
  const merged = reshape(turned, [1, 3, 2, 3, 3], [1, 6, 3, 3])!;
  expect(plain(merged)).toEqual({ dims: [1, 6, 1, 1], ids: [0, 3, 1, 4, 2, 5] });
});

test.each<[string, number[], number[], Layout, number[], number[]]>([
  ['flattening', [1, 2, 2, 1], [1, 4], along(4, 1, channels(2)), [1, 4], [0, 0, 1, 1]],
  ['dropping axes', [1, 3, 1, 1], [1, 3], along(4, 1, channels(3)), [1, 3], [0, 1, 2]],
  ['adding axes', [3], [1, 3, 1], along(1, 0, channels(3)), [1, 3, 1], [0, 1, 2]],
  ['joining others', [1, 2, 4, 4], [1, 2, 16], along(4, 1, channels(2)), [1, 2, 1], [0, 1]],
  [
    'joining heads',
    [1, 5, 2, 3],
    [1, 5, 6],
    along(4, 3, channels(3)),
    [1, 1, 6],
    [0, 1, 2, 0, 1, 2],
  ],
])('%s keeps the order of the elements', (_, from, to, layout, dims, ids) => {
  expect(plain(reshape(layout, from, to)!)).toEqual({ dims, ids });
});

test('shapes of other sizes have no layout', () => {
  expect(reshape(along(2, 1, channels(4)), [1, 4], [1, 5])).toBeUndefined();
});

test('entries and parts of an axis', () => {
  const layout = along(3, 1, channels(4));
  expect(plain(select(layout, 1, [3, 1])!)).toEqual({ dims: [1, 2, 1], ids: [3, 1] });
  expect(select(layout, 1, [4])).toBeUndefined();
  expect(plain(concat([layout, along(3, 1, Int32Array.of(9))], 1))).toEqual({
    dims: [1, 5, 1],
    ids: [0, 1, 2, 3, 9],
  });
});

test('a sum makes its channels one, and what may not change stays so', () => {
  const variables = new Variables();
  const [a, b] = [variables.fresh(2), variables.fresh(2)];
  variables.fix(b[1]!);
  unify(along(4, 1, a), along(3, 0, b), variables);
  expect(variables.root(a[0]!)).toBe(variables.root(b[0]!));
  expect([...a].map((id) => variables.isFixed(id))).toEqual([false, true]);
  expect(unify(along(1, 0, a), along(1, 0, variables.fresh(3)), variables)).toBeUndefined();
});
