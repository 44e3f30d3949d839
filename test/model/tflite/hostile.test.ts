import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { Model } from '../../../agent/model/tflite/generated/model.ts';
import { openTflite, writeTflite } from '../../../agent/model/tflite/open.ts';
import { operatorLabels } from '../../../agent/model/tflite/graph.ts';
import { reachedSubgraphs } from '../../../agent/model/tflite/calls.ts';
import { compact } from '../../../agent/model/tflite/compact.ts';
import { tensorNumbers } from '../../../agent/model/tflite/tensor.ts';
import { fileOf, tfliteBytes } from '../../support/tflite-models.ts';
import { sampleModel } from './sample.ts';

const TIME_LIMIT_MS = 60_000;

const sample = tfliteBytes({ ...sampleModel(), tail: null });

const isModelError = (error: unknown) => error instanceof Error && error.name === 'ModelError';

/** What opening and using a file ends in: `model`, or the error's name. */
function outcome(bytes: Uint8Array): string {
  try {
    const model = openTflite(bytes);
    operatorLabels(model);
    reachedSubgraphs(model);
    model.subgraphs.flatMap(({ tensors }) => tensors).forEach(use);
    writeTflite(compact(model));
    return 'model';
  } catch (error) {
    return isModelError(error) ? 'ModelError' : `unexpected ${String(error)}`;
  }
}

/** A tensor that is no good is not the end of the model. */
function use(tensor: Parameters<typeof tensorNumbers>[0]): void {
  try {
    tensorNumbers(tensor);
  } catch (error) {
    if (!isModelError(error)) throw error;
  }
}

test('a file cut off anywhere is refused with a ModelError', () => {
  expect(outcome(sample)).toBe('model');
  // The last bytes are padding, which nobody misses.
  const end = sample.findLastIndex((byte) => byte !== 0);
  for (let length = 0; length <= end; length++) {
    expect([length, outcome(sample.subarray(0, length))]).toEqual([length, 'ModelError']);
  }
});

test(
  'random damage gives a model or a ModelError',
  () => {
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
      { seed: 20_26, numRuns: 5000 },
    );
  },
  TIME_LIMIT_MS,
);

test(
  'every byte in turn, set to the worst values, gives a model or a ModelError',
  () => {
    for (let at = 0; at < sample.length; at++) {
      for (const worst of [0, 0x7f, 0xff]) {
        const bytes = Uint8Array.from(sample);
        bytes[at] = worst;
        expect(['model', 'ModelError']).toContain(outcome(bytes));
      }
    }
  },
  TIME_LIMIT_MS,
);

test('random bytes behind the identifier give a ModelError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const file = Buffer.concat([bytes.subarray(0, 4), Buffer.from('TFL3'), bytes.subarray(4)]);
      expect(outcome(file)).toBe('ModelError');
    }),
    { seed: 7, numRuns: 2000 },
  );
});

/** A file by hand: numbers of four bytes, little-endian; the identifier stands second. */
function words(root: number, ...rest: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(8 + 4 * rest.length);
  bytes.writeUInt32LE(root, 0);
  bytes.write('TFL3', 4, 'latin1');
  rest.forEach((word, index) => bytes.writeInt32LE(word | 0, 8 + 4 * index));
  return bytes;
}

const vtable = (bytes: number, table: number) => bytes + table * 0x10000;

const GRAPH = { tensors: [], operators: [], debugMetadataIndex: -1 } as const;
const OPERATOR = {
  opcodeIndex: 0,
  customOptionsFormat: 'FLEXBUFFERS',
  largeCustomOptionsOffset: 0,
  largeCustomOptionsSize: 0,
  debugMetadataIndex: -1,
} as const;
const TENSOR = {
  type: 'FLOAT32',
  shape: [1],
  buffer: 0,
  isVariable: false,
  hasRank: true,
  externalBuffer: 0,
} as const;
const CODE = { deprecatedBuiltinCode: 0, builtinCode: 0, version: 1 } as const;

/** A file with one graph of three tensors, or with something else in its place. */
function graphFile(graph: object, file: Partial<Model> = {}): Uint8Array {
  const subgraphs = [{ ...GRAPH, tensors: [TENSOR, TENSOR, TENSOR], ...graph }];
  return fileOf({ operatorCodes: [CODE], buffers: [{ offset: 0, size: 0 }], subgraphs, ...file });
}

const operator = (fields: object) => graphFile({ operators: [{ ...OPERATOR, ...fields }] });

const CASES: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ['nothing', new Uint8Array(0), /no TFL3 at byte 4/],
  ['text', Buffer.from('<!doctype html>'), /no TFL3 at byte 4/],
  ['only a head', words(8), /cut off: 4 bytes wanted, 0 left in Model at byte 8$/],
  ['a root in itself', words(0), /an offset of 0 in Model at byte 0$/],
  ['a root far away', words(0xfffffff0), /cut off: 4 bytes wanted, 0 left in Model at/],
  ['a vtable before the file', words(8, 0x7fffffff), /a vtable at -\d+ in Model at byte 8$/],
  ['a vtable behind the file', words(8, -0x7fffffff), /cut off: 4 bytes wanted, 0 left in Model/],
  ['a vtable of 3 bytes', words(8, -4, vtable(3, 4)), /a vtable of 3 bytes in Model at byte 12$/],
  ['a vtable of 60 KB', words(8, -4, vtable(60_000, 4)), /cut off: 60000 bytes wanted, 4 left/],
  ['a table of 3 bytes', words(8, -4, vtable(4, 3)), /a table of 3 bytes in Model at byte 12$/],
  ['a table of 60 KB', words(8, -4, vtable(4, 60_000)), /cut off: 60000 bytes wanted, 8 left/],
  [
    'a field outside its table',
    words(8, -4, vtable(6, 4), 4),
    /a field outside its table in version at byte 8$/,
  ],
  ['format 2', fileOf({ version: 2 }), /TFLite format 2; only 3/],
  ['no graph', fileOf({}), /has no graph/],
  ['an input that is no tensor', graphFile({ inputs: [3] }), /subgraphs\[0\].inputs is 3 of 3$/],
  ['an output below 0', graphFile({ outputs: [-1] }), /subgraphs\[0\].outputs is -1 of 3$/],
  [
    'an operator without a code',
    operator({ opcodeIndex: 1 }),
    /operators\[0\].opcodeIndex is 1 of 1$/,
  ],
  [
    'an operator that reads no tensor',
    operator({ inputs: [0, -1, 7] }),
    /subgraphs\[0\].operators\[0\].inputs is 7 of 3$/,
  ],
  ['an input of -2', operator({ inputs: [-2] }), /operators\[0\].inputs is -2 of 3$/],
  ['intermediates nowhere', operator({ intermediates: [4] }), /intermediates is 4 of 3$/],
  [
    'a subgraph that is not there',
    operator({
      builtinOptions: { kind: 'WhileOptions', condSubgraphIndex: 0, bodySubgraphIndex: 4 },
    }),
    /operators\[0\].builtinOptions is 4 of 1$/,
  ],
  [
    'custom options behind the end',
    operator({ largeCustomOptionsOffset: 2 ** 40, largeCustomOptionsSize: 5 }),
    /cut off: .*largeCustomOptionsOffset wants bytes 1099511627776 to/,
  ],
  [
    'a buffer that is not there',
    graphFile({ tensors: [{ ...TENSOR, buffer: 4_000_000_000 }] }),
    /tensors\[0\].buffer is 4000000000 of 1$/,
  ],
  [
    'a buffer behind the end',
    graphFile({}, { buffers: [{ offset: 64, size: 2 ** 50 }] }),
    /cut off: buffers\[0\] wants bytes 64 to/,
  ],
  [
    'scales that are no tensor',
    graphFile({
      tensors: [
        {
          ...TENSOR,
          quantization: {
            quantizedDimension: 0,
            details: { kind: 'BlockwiseQuantization', scales: 9, zeroPoints: -1, blockSize: 2 },
          },
        },
      ],
    }),
    /tensors\[0\].quantization.details is 9 of 1$/,
  ],
  [
    'a shape of 65 dimensions',
    graphFile({ tensors: [{ ...TENSOR, shape: Array.from({ length: 65 }, () => 1) }] }),
    /65 dimensions in subgraphs\[0\].tensors\[0\]; the most are 64/,
  ],
  [
    'a signature of another graph',
    graphFile({}, { signatureDefs: [{ subgraphIndex: 7 }] }),
    /signatureDefs\[0\].subgraphIndex is 7 of 1$/,
  ],
  [
    'a signature of another tensor',
    graphFile({}, { signatureDefs: [{ subgraphIndex: 0, inputs: [{ tensorIndex: 3 }] }] }),
    /signatureDefs\[0\].inputs\[0\] is 3 of 3$/,
  ],
  [
    'metadata nowhere',
    graphFile({}, { metadata: [{ name: 'm', buffer: 1 }] }),
    /metadata\[0\].buffer is 1 of 1$/,
  ],
  [
    'a tensor made twice',
    graphFile({
      operators: [
        { ...OPERATOR, outputs: [1] },
        { ...OPERATOR, outputs: [1] },
      ],
    }),
    /subgraphs\[0\].operators\[1\] makes tensor 1 a second time/,
  ],
  [
    'an operator that makes an input',
    graphFile({ inputs: [1], operators: [{ ...OPERATOR, outputs: [1] }] }),
    /operators\[0\] makes tensor 1 a second time/,
  ],
  [
    'an operator that reads itself',
    operator({ inputs: [1], outputs: [1] }),
    /operators\[0\] reads tensor 1 before operators\[0\] makes it/,
  ],
  [
    'a loop',
    graphFile({
      operators: [
        { ...OPERATOR, inputs: [2], outputs: [1] },
        { ...OPERATOR, inputs: [1], outputs: [2] },
      ],
    }),
    /operators\[0\] reads tensor 2 before operators\[1\] makes it/,
  ],
];

test.each(CASES)('%s: refused, and the message says where', (_, bytes, message) => {
  expect(() => openTflite(bytes)).toThrow(message);
  expect(outcome(bytes)).toBe('ModelError');
});

test('an int64 that no number can hold is refused, not rounded', () => {
  const bytes = Buffer.from(
    graphFile({
      tensors: [{ ...TENSOR, quantization: { quantizedDimension: 0, zeroPoint: [77] } }],
    }),
  );
  const at = bytes.indexOf(Buffer.from([77, 0, 0, 0, 0, 0, 0, 0]));
  bytes.writeBigInt64LE(2n ** 62n, at);
  expect(() => openTflite(bytes)).toThrow(/the number 4611686018427387904 in .*zeroPoint at byte/);
});

test('a name that is not UTF-8, or has no end, is refused', () => {
  const bytes = Buffer.from(graphFile({ name: 'needle' }));
  const at = bytes.indexOf('needle');
  const garbled = Buffer.from(bytes);
  garbled[at] = 0xff;
  expect(() => openTflite(garbled)).toThrow(/not UTF-8 in subgraphs\[0\].name at byte \d+$/);
  const endless = Buffer.from(bytes);
  endless[at + 6] = 1;
  expect(() => openTflite(endless)).toThrow(/a text without its end in subgraphs\[0\].name/);
});

/** As many offsets to one place; the first one stands at byte `from`. */
function offsetsTo(place: number, from: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => place - (from + 4 * index));
}

test('a small file that unfolds to a huge model is refused', () => {
  const count = 20_000;
  const firstList = 32;
  const graph = firstList + 4 + 4 * count + 8;
  const secondList = graph + 8;
  const tensor = secondList + 4 + 4 * count + 4;
  const file = words(
    20,
    // The vtable of the model: a version, no operator codes, subgraphs.
    vtable(10, 12),
    4,
    8,
    // The model: the way back to its vtable, the version, the way to the list of graphs.
    12,
    3,
    firstList - 28,
    // The same graph, over and over; it has one field, its tensors.
    count,
    ...offsetsTo(graph, firstList + 4, count),
    vtable(6, 8),
    4,
    8,
    secondList - (graph + 4),
    // The same empty tensor, over and over.
    count,
    ...offsetsTo(tensor, secondList + 4, count),
    vtable(4, 4),
    4,
  );
  const start = performance.now();
  expect(() => openTflite(file)).toThrow(/how often each byte of the file is read .* exceeds 8/);
  expect(performance.now() - start).toBeLessThan(5_000);
});

test('a list that would take far more memory than its file is refused', () => {
  const count = 2 ** 26 + 1;
  const mutatingVariableInputs = Array.from({ length: 77 }, () => true);
  const small = Buffer.from(operator({ mutatingVariableInputs }));
  const file = Buffer.alloc(small.length + count);
  file.set(small);
  file.writeUInt32LE(count, small.indexOf(Buffer.of(77, 0, 0, 0, 1, 1, 1)));
  expect(() => openTflite(file)).toThrow(/all lists in .*mutatingVariableInputs exceeds 67108864/);
});
