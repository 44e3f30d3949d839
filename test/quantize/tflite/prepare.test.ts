import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { openTflite } from '../../../agent/model/tflite/open.ts';
import { tensorNumbers } from '../../../agent/model/tflite/tensor.ts';
import { makeOperator } from '../../../agent/model/tflite/types.ts';
import type { TfliteOperator } from '../../../agent/model/tflite/types.ts';
import { prepareTflite } from '../../../agent/quantize/tflite/prepare/prepare.ts';
import { corpusPath, corpusTflite, describeWithCorpus } from '../../support/corpus.ts';
import {
  add,
  constant,
  sparsely,
  tfliteBytes,
  tinyTflite,
  value,
} from '../../support/tflite-models.ts';
import { conv, listing, plain, tensorNamed } from './layers.ts';

const halves = (name: string, bits: readonly number[]) =>
  constant(name, new Uint8Array(Uint16Array.from(bits).buffer), {
    type: 'FLOAT16',
    shape: [bits.length],
  });

test('float16 weights behind a DEQUANTIZE become float32, shared bytes once', () => {
  // 1, -2, 0.5, 2^-24
  const half = halves('half', [0x3c00, 0xc000, 0x3800, 0x0001]);
  const model = tinyTflite({
    tensors: [
      value('x', [4]),
      half,
      value('float', [4]),
      { ...half, name: 'again' },
      value('float again', [4]),
      value('y', [4]),
      value('z', [4]),
    ],
    inputs: [0],
    outputs: [5, 6],
    operators: [
      plain('DEQUANTIZE', [1], 2),
      add(0, 2, 5),
      plain('DEQUANTIZE', [3], 4),
      add(0, 4, 6),
    ],
  });
  const result = prepareTflite(model);
  expect(listing(result)).toEqual(['ADD.1(x, float) -> y', 'ADD.1(x, float again) -> z']);
  expect(tensorNumbers(tensorNamed(result, 'float'))).toEqual([1, -2, 0.5, 2 ** -24]);
  expect(tensorNamed(result, 'float').data).toBe(tensorNamed(result, 'float again').data);
});

test('int8 weights behind a DEQUANTIZE stay as they are stored', () => {
  const model = tinyTflite({
    tensors: [
      value('x', [4]),
      constant('w', Int8Array.of(1, 2, 3, 4)),
      value('f', [4]),
      value('y'),
    ],
    inputs: [0],
    outputs: [3],
    operators: [plain('DEQUANTIZE', [1], 2), add(0, 2, 3)],
  });
  expect(prepareTflite(model)).toEqual(model);
});

test('what only rearranges constants is computed', () => {
  const model = tinyTflite({
    tensors: [
      constant('w', Float32Array.of(1, 2, 3, 4, 5, 6), { shape: [2, 3] }),
      constant('order', Int32Array.of(1, 0)),
      value('turned', [3, 2]),
      constant('shape', Int32Array.of(6)),
      value('flat', [6]),
      value('x', [6]),
      value('y', [6]),
      constant('whole', Int32Array.of(7, -1), { shape: [2] }),
      value('long', [2], 'INT64'),
      value('n', [2], 'INT64'),
      value('sum', [2], 'INT64'),
    ],
    inputs: [5, 9],
    outputs: [6, 10],
    operators: [
      plain('TRANSPOSE', [0, 1], 2),
      plain('RESHAPE', [2, 3], 4),
      add(5, 4, 6),
      plain('CAST', [7], 8),
      add(9, 8, 10),
    ],
  });
  const result = prepareTflite(model);
  expect(listing(result)).toEqual(['ADD.1(x, flat) -> y', 'ADD.1(n, long) -> sum']);
  expect(tensorNumbers(tensorNamed(result, 'flat'))).toEqual([1, 4, 2, 5, 3, 6]);
  expect(tensorNumbers(tensorNamed(result, 'long'))).toEqual([7, -1]);
});

test('a constant that is a result of the model is still computed', () => {
  const model = tinyTflite({
    tensors: [value('x'), halves('half', [0x3c00]), value('y', [1])],
    inputs: [0],
    outputs: [2],
    operators: [plain('DEQUANTIZE', [1], 2)],
  });
  expect(listing(prepareTflite(model))).toEqual(['DEQUANTIZE.1(half) -> y']);
});

const slice = (inputs: readonly number[], output: number): TfliteOperator =>
  makeOperator({
    op: 'STRIDED_SLICE',
    inputs,
    outputs: [output],
    options: {
      kind: 'StridedSliceOptions',
      beginMask: 0,
      endMask: 0,
      ellipsisMask: 0,
      newAxisMask: 0,
      shrinkAxisMask: 1,
      offset: false,
    },
  });

/** A RESHAPE to [batch, -1, 2], as converters write it. */
function computedShape(signature?: readonly number[]) {
  return tinyTflite({
    tensors: [
      { ...value('x', [1, 4, 3, 6]), shapeSignature: signature },
      { ...value('features', [1, 4, 3, 6]), shapeSignature: signature },
      value('sizes', [4], 'INT32'),
      value('batch', [], 'INT32'),
      value('wish', [3], 'INT32'),
      { ...value('y', [1, 1, 2]), shapeSignature: [-1, -1, 2] },
      constant('from', Int32Array.of(0)),
      constant('to', Int32Array.of(1)),
      constant('rest', Int32Array.of(-1), { shape: [] }),
      constant('two', Int32Array.of(2), { shape: [] }),
      value('end', [1, 1, 2]),
    ],
    inputs: [0],
    outputs: [10],
    operators: [
      plain('RELU', [0], 1),
      plain('SHAPE', [1], 2),
      slice([2, 6, 7, 7], 3),
      makeOperator({
        op: 'PACK',
        inputs: [3, 8, 9],
        outputs: [4],
        options: { kind: 'PackOptions', valuesCount: 3, axis: 0 },
      }),
      plain('RESHAPE', [1, 4], 5),
      plain('RELU', [5], 10),
    ],
  });
}

test('a shape that follows from fixed sizes is a constant, and what it gives is declared right', () => {
  const result = prepareTflite(computedShape());
  expect(listing(result)).toEqual([
    'RELU.1(x) -> features',
    'RESHAPE.1(features, wish) -> y',
    'RELU.1(y) -> end',
  ]);
  expect(tensorNumbers(tensorNamed(result, 'wish'))).toEqual([1, -1, 2]);
  expect(tensorNamed(result, 'y').shape).toEqual([1, 36, 2]);
});

test('an open batch stays open, unless it is to be fixed', () => {
  const model = computedShape([-1, 4, 3, 6]);
  expect(listing(prepareTflite(model))).toEqual(listing(model));
  const fixed = prepareTflite(model, { fixBatch: true });
  expect(listing(fixed)).toEqual(listing(prepareTflite(computedShape())));
  expect(tensorNamed(fixed, 'x').shapeSignature).toBeUndefined();
});

test('another open size stays open', () => {
  const model = computedShape([1, -1, 3, 6]);
  expect(listing(prepareTflite(model, { fixBatch: true }))).toEqual(listing(model));
});

test('the shape of what is sized by values is not known', () => {
  const model = tinyTflite({
    tensors: [value('x', [4]), value('found', [4, 1], 'INT64'), value('sizes', [2], 'INT32')],
    inputs: [0],
    outputs: [2],
    operators: [plain('WHERE', [0], 1), plain('SHAPE', [1], 2)],
  });
  expect(listing(prepareTflite(model))).toEqual(listing(model));
});

test('shapes inside called graphs are not known', () => {
  const body = {
    tensors: [value('x', [4]), value('sizes', [1], 'INT32'), value('y', [1], 'INT32')],
    inputs: [0],
    outputs: [2],
    operators: [plain('SHAPE', [0], 1), plain('NEG', [1], 2)],
  };
  const model = tinyTflite([{ ...body, name: 'main' }, body]);
  expect(prepareTflite(model).subgraphs.map(({ operators }) => operators.length)).toEqual([1, 2]);
});

test('sparse weights are unpacked, and a DENSIFY of them goes', () => {
  const sparse = sparsely(constant('w', Float32Array.of(1, 2)));
  const model = tinyTflite({
    tensors: [value('x', [2, 2]), sparse, value('dense', [2, 2]), value('y')],
    inputs: [0],
    outputs: [3],
    operators: [plain('DENSIFY', [1], 2), add(0, 2, 3)],
  });
  const result = prepareTflite(model);
  expect(listing(result)).toEqual(['ADD.1(x, dense) -> y']);
  expect(tensorNumbers(tensorNamed(result, 'dense'))).toEqual([0, 1, 2, 0]);
});

test('sparse float16 weights are unpacked and decoded', () => {
  const model = tinyTflite({
    tensors: [
      value('x', [2, 2]),
      sparsely(halves('w', [0x3c00, 0xc000])),
      value('dense', [2, 2], 'FLOAT16'),
      value('floats', [2, 2]),
      value('y'),
    ],
    inputs: [0],
    outputs: [4],
    operators: [plain('DENSIFY', [1], 2), plain('DEQUANTIZE', [2], 3), add(0, 3, 4)],
  });
  const result = prepareTflite(model);
  expect(listing(result)).toEqual(['ADD.1(x, floats) -> y']);
  expect(tensorNamed(result, 'floats').data).toHaveLength(16);
  expect(tensorNumbers(tensorNamed(result, 'floats'))).toEqual([0, 1, -2, 0]);
});

test('nothing to prepare: the operators are the same objects', () => {
  const model = tinyTflite({
    tensors: [
      value('x', [1, 4, 4, 1]),
      constant('w', new Float32Array(9), { shape: [1, 3, 3, 1] }),
      value('y'),
    ],
    inputs: [0],
    outputs: [2],
    operators: [conv([0, 1, -1], 2)],
  });
  expect(prepareTflite(model)).toEqual(model);
});

describeWithCorpus('the corpus', () => {
  test('a detector with float16 weights', () => {
    const file = readFileSync(corpusPath('models/mp_face_detection_full_range.tflite'));
    const model = openTflite(file);
    const result = prepareTflite(model);
    const [before, after] = [model, result].map(({ subgraphs }) => subgraphs[0]!);
    expect(before!.operators).toHaveLength(354);
    expect(after!.operators).toHaveLength(354 - 178);
    const types = new Set(after!.tensors.flatMap(({ type, data }) => (data ? [type] : [])));
    expect(types).toEqual(new Set(['FLOAT32', 'INT32']));
    // Twice the weights, without the operators and the tensors that they read.
    expect(tfliteBytes(result).length / file.length).toBeCloseTo(1.92, 2);
  });

  test('a detector whose boxes are put together by computed shapes', () => {
    const model = openTflite(readFileSync(corpusPath('models/ultraface_slim_320_fp32.tflite')));
    const [fixed] = prepareTflite(model, { fixBatch: true }).subgraphs;
    expect(fixed!.operators.map(({ op }) => op)).not.toContain('SHAPE');
    // Nine of 15 PADs are left to convolutions; the others stand in front of steps of two.
    expect(fixed!.operators).toHaveLength(92 - 8 * 3 - 9);
    // 240 x 320 at steps of 8: 30 x 40 places with 3 boxes each.
    const shapes = fixed!.operators.flatMap(({ op, outputs }) =>
      op === 'RESHAPE' ? [fixed!.tensors[outputs[0]!]!.shape.join()] : [],
    );
    expect(shapes).toContain('1,3600,2');
    expect(shapes).toContain('1,3600,4');
  });

  test.each(corpusTflite('models', 'models/others', 'models/aeq'))(
    '%s can be prepared',
    (_, path) => {
      const model = prepareTflite(openTflite(readFileSync(path)));
      const again = openTflite(tfliteBytes(model));
      expect(again.subgraphs.map(({ operators }) => operators.length)).toEqual(
        model.subgraphs.map(({ operators }) => operators.length),
      );
    },
  );
});
