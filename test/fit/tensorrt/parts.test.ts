import { expect, test } from '@jest/globals';
import { forTensorRt, schemePresets } from '../../../agent/contracts/scheme.ts';
import { calibrationTable } from '../../../agent/fit/tensorrt/calibration-table.ts';
import { quantizedShare } from '../../../agent/fit/tensorrt/coverage.ts';
import { samplesWithin } from '../../../agent/fit/tensorrt/judge.ts';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import { DataType } from '../../../agent/model/onnx/tensor.ts';
import type { TensorStatistics } from '../../../agent/model/statistics.ts';
import { quantizeStatic } from '../../../agent/quantize/onnx/static.ts';
import { randomValues, randoms, weights } from '../../quantize/support.ts';
import { tinyModel } from '../../support/onnx-models.ts';

const seen = (min: number, max: number, shape: readonly number[] = [1]): TensorStatistics => {
  return { dtype: 'float32', shape, min, max, seenMin: min, seenMax: max };
};

test('a calibration table: the scale, largest / 127, as the bits of a float32', () => {
  const tensors = new Map([
    // 254 / 127 = 2 is 0x40000000, 63.5 / 127 = 0.5 is 0x3f000000.
    ['x', seen(-254, 12)],
    ['y', seen(0, 63.5)],
    ['zero', seen(0, 0)],
    ['wild', seen(-Infinity, 1)],
    ['n', { ...seen(0, 9), dtype: 'int64' }],
  ]);
  expect(calibrationTable({ tensors }, { major: 8, minor: 5, patch: 2 })).toBe(
    'TRT-8502-EntropyCalibration2\nx: 40000000\ny: 3f000000\n',
  );
  expect(calibrationTable({ tensors }, { major: 10, minor: 3, patch: 0 })).toMatch(/^TRT-100300-/);
});

test('quantized share: weights times pixels, of what passes through QuantizeLinear', () => {
  const next = randoms(2);
  const model = tinyModel({
    inputs: { x: [DataType.FLOAT, [1, 2, 5, 5]] },
    outputs: { y: [DataType.FLOAT, [1, 4]] },
    initializers: [
      weights('w', [3, 2, 3, 3], randomValues(next, 54)),
      weights('v', [27, 4], randomValues(next, 108)),
    ],
    nodes: [
      makeNode('Conv', ['x', 'w'], ['c']),
      makeNode('Flatten', ['c'], ['f']),
      makeNode('MatMul', ['f', 'v'], ['y']),
    ],
  });
  const tensors = new Map([
    ['x', seen(-1, 1, [1, 2, 5, 5])],
    ['c', seen(-1, 1, [1, 3, 3, 3])],
    ['f', seen(-1, 1, [1, 27])],
    ['y', seen(-1, 1, [1, 4])],
  ]);
  const statistics = { samples: 1, observer: 'min-max', tensors } as const;
  const scheme = { ...forTensorRt(schemePresets['int8-static']), excluded: ['y'] };
  const made = quantizeStatic(model, statistics, scheme).model;
  // 54 weights on 9 pixels, 108 weights on one row.
  expect(quantizedShare(made, statistics)).toBeCloseTo(486 / (486 + 108), 12);
  expect(quantizedShare(model, statistics)).toBe(0);
  tensors.delete('c');
  expect(quantizedShare(made, statistics)).toBeNull();
});

test.each([
  [0.1, 64],
  [1, 60],
  [5, 12],
  [30, 8],
])('where starting takes %s s, engines are judged on %i samples', (seconds, samples) => {
  expect(samplesWithin(seconds)).toBe(samples);
});
