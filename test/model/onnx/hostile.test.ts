import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import {
  DataType,
  floatTensor,
  int64Tensor,
  tensorData,
} from '../../../agent/model/onnx/tensor.ts';
import { allNodes, makeNode } from '../../../agent/model/onnx/graph.ts';
import { openOnnx, writeOnnx } from '../../../agent/model/onnx/open.ts';
import { tinyBytes, tinyGraph } from '../../support/onnx-models.ts';
import {
  block,
  join,
  modelOf,
  modelWithTensor,
  number,
  tag,
  varint,
} from '../../support/wire-bytes.ts';

const { FLOAT, BOOL } = DataType;

/** A little of everything: attributes of all kinds, a body, typed numbers, texts. */
const sample = tinyBytes({
  inputs: { x: [FLOAT, ['n', 4]], flag: [BOOL, []] },
  outputs: { z: [FLOAT, ['n', 4]] },
  initializers: [
    floatTensor('w', [1, 2, 3, 4]),
    { ...int64Tensor('shape', [1]), rawData: undefined, int64Data: BigInt64Array.of(4n) },
  ],
  nodes: [
    makeNode('Mul', ['x', 'w'], ['y'], {
      attributes: { a: 1n, b: 0.5, c: 'text', d: [1n, 2n], e: [0.5, 1], f: floatTensor('t', 1) },
    }),
    makeNode('If', ['flag'], ['z'], {
      attributes: {
        then_branch: tinyGraph({
          outputs: { t: [FLOAT] },
          nodes: [makeNode('Relu', ['y'], ['t'])],
        }),
        else_branch: tinyGraph({ outputs: { e: [FLOAT] }, nodes: [makeNode('Neg', ['y'], ['e'])] }),
      },
    }),
  ],
});

/** What opening and using a file ends in: `model`, or the error's name and code. */
function outcome(bytes: Uint8Array): string {
  try {
    const model = openOnnx(bytes);
    for (const node of allNodes(model.graph)) node.attribute.forEach(({ t }) => t && tensorData(t));
    model.graph.initializer.forEach(tensorData);
    writeOnnx(model);
    return 'model';
  } catch (error) {
    return error instanceof Error && error.name === 'ModelError'
      ? 'ModelError'
      : `unexpected ${String(error)}`;
  }
}

test('a file cut off anywhere is refused with a ModelError', () => {
  expect(outcome(sample)).toBe('model');
  const outcomes = new Map<string, number[]>();
  for (let length = 0; length < sample.length; length++) {
    const found = outcome(sample.subarray(0, length));
    outcomes.set(found, [...(outcomes.get(found) ?? []), length]);
  }
  // The file is whole where its last fields, the operator sets, begin or end.
  const whole = outcomes.get('model') ?? [];
  expect(new Set(outcomes.keys())).toEqual(new Set(['ModelError', 'model']));
  expect(whole.length).toBeLessThanOrEqual(2);
  expect(Math.min(...whole)).toBeGreaterThan(sample.length - 8);
});

test('random damage gives a model or a ModelError', () => {
  const damage = fc.array(fc.tuple(fc.nat(sample.length - 1), fc.integer({ min: 1, max: 255 })), {
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(damage, (flips) => {
      const bytes = Uint8Array.from(sample);
      for (const [at, mask] of flips) bytes[at] = (bytes[at] ?? 0) ^ mask;
      expect(['model', 'ModelError']).toContain(outcome(bytes));
    }),
    { seed: 20_26, numRuns: 3000 },
  );
});

test('random bytes give a model or a ModelError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(['model', 'ModelError']).toContain(outcome(bytes));
    }),
    { seed: 7, numRuns: 2000 },
  );
});

/** The graph of an attribute of a node of a graph of an attribute ... */
function nested(levels: number): Uint8Array {
  let body = block(2, 'innermost');
  for (let level = 0; level < levels; level++) body = block(1, block(5, block(6, body)));
  return modelOf(body);
}

const big = (length: bigint) => join(tag(7, 2), varint(length));

const CASES: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ['nothing', new Uint8Array(0), /the file is empty/],
  ['no graph', number(1, 8), /no graph inside/],
  [
    'text',
    Buffer.from('<!doctype html>'),
    /end of group where .* belongs in ModelProto at byte 1$/,
  ],
  ['zeros', new Uint8Array(64), /field number 0 in ModelProto at byte 0$/],
  [
    'a length of 2^63',
    join(number(1, 8), big(2n ** 63n)),
    /cut off: 9223372036854776000 .*byte 3$/,
  ],
  ['a length of 2^64-1', join(number(1, 8), big(2n ** 64n - 1n)), /announced, 0 left .* byte 3$/],
  [
    '100 MB announced in 20 bytes',
    join(number(1, 8), big(100_000_000n), new Uint8Array(12)),
    /cut off: 100000000 bytes announced, 12 left in GraphProto at byte 3$/,
  ],
  [
    '100 MB of numbers announced in a few bytes',
    modelWithTensor(join(tag(4, 2), varint(100_000_000))),
    /cut off: 100000000 bytes announced, 0 left in TensorProto at byte \d+$/,
  ],
  ['an endless varint', Uint8Array.from({ length: 11 }, () => 0xff), /longer than ten bytes/],
  ['field 0', join(number(1, 8), Uint8Array.of(0x02, 0x00)), /field number 0 .* at byte 2$/],
  ['field 2^29', join(number(1, 8), number(2 ** 29, 1)), /field number 536870912 .* at byte 2$/],
  ['a group', join(number(1, 8), tag(90, 3), tag(90, 4)), /group in field 90 .* at byte 2$/],
  ['an end of group', join(number(1, 8), tag(90, 4)), /end of group in field 90 .* at byte 2$/],
  ['wire type 7', join(number(1, 8), tag(90, 7)), /wire type 7 in field 90 .* at byte 2$/],
  ['a varint as the graph', number(7, 5), /varint where length-delimited .* at byte 1$/],
  ['a text as a number', block(1, 'x'), /length-delimited where varint belongs .* byte 1$/],
  ['two graphs', join(modelOf(), block(7)), /a second GraphProto in ModelProto at byte 5$/],
  ['a name that is not UTF-8', modelOf(block(2, Uint8Array.of(0xff))), /not UTF-8 .* at byte 5$/],
  ['bodies 40 deep', nested(40), /nesting in \w+ exceeds 100 at byte \d+$/],
  ['seven bytes of float', modelWithTensor(block(4, new Uint8Array(7))), /7 bytes of numbers/],
  ['an unfinished number in a list', modelWithTensor(block(7, Uint8Array.of(5, 0x80))), /cut off/],
  [
    'a tensor made twice',
    modelOf(block(1, block(2, 'y'), block(4, 'A')), block(1, block(2, 'y'), block(4, 'B'))),
    /node 'y' \(B\) makes 'y' a second time/,
  ],
  [
    'a node that makes an input',
    modelOf(block(11, block(1, 'x')), block(1, block(2, 'x'), block(4, 'A'))),
    /makes 'x' a second time/,
  ],
  [
    'a cycle',
    modelOf(
      block(1, block(1, 'b'), block(2, 'a'), block(4, 'A')),
      block(1, block(1, 'a'), block(2, 'b'), block(4, 'B')),
    ),
    /node 'a' \(A\) waits for its own output/,
  ],
  [
    'a node that reads itself',
    modelOf(block(1, block(1, 'a'), block(2, 'a'), block(4, 'A'))),
    /waits for its own output/,
  ],
];

test.each(CASES)('%s: refused, and the message says where', (_, bytes, message) => {
  expect(() => openOnnx(bytes)).toThrow(message);
  expect(outcome(bytes)).toBe('ModelError');
});

test('bodies thirty deep are read', () => {
  expect(openOnnx(nested(30)).graph.node).toHaveLength(1);
});

const raw = (bytes: number) => block(9, new Uint8Array(bytes));
const SHAPES: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ['a negative dimension', join(number(1, -4), number(2, 1), raw(16)), /\[-4\]\): no such shape/],
  [
    'two negative dimensions',
    join(number(1, -2), number(1, -2), number(2, 1), raw(16)),
    /no such shape/,
  ],
  [
    'dimensions whose product overflows',
    join(number(1, 2 ** 32), number(1, 2 ** 32), number(2, 1), raw(0)),
    /no such shape/,
  ],
  ['too few bytes', join(number(1, 5), number(2, 1), raw(16)), /holds 16 bytes, not 20/],
  ['too many bytes', join(number(1, 3), number(2, 1), raw(16)), /holds 16 bytes, not 12/],
  ['no data at all', join(number(1, 3), number(2, 1)), /holds 0 values/],
  ['a type that does not exist', join(number(1, 1), number(2, 99), raw(4)), /type 99/],
  ['no type', join(number(1, 1), raw(4)), /no numbers of this type/],
];

test.each(SHAPES)('a tensor with %s is refused by name', (_, fields, message) => {
  const tensor = openOnnx(modelWithTensor(fields)).graph.initializer[0];
  expect(() => tensor && tensorData(tensor)).toThrow(/^tensor 'w' /);
  expect(() => tensor && tensorData(tensor)).toThrow(message);
});

test('nodes in any order are put in order', () => {
  const bytes = modelOf(
    block(1, block(1, 'b'), block(2, 'c'), block(4, 'C')),
    block(1, block(1, 'a'), block(2, 'b'), block(4, 'B')),
    block(1, block(1, 'x'), block(2, 'a'), block(4, 'A')),
  );
  expect(openOnnx(bytes).graph.node.map(({ opType }) => opType)).toEqual(['A', 'B', 'C']);
});
