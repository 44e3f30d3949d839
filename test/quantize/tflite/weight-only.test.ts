import { expect, test } from '@jest/globals';
import { schemePresets } from '../../../agent/contracts/scheme.ts';
import { tensorNumbers } from '../../../agent/model/tflite/tensor.ts';
import { quantizeWeights } from '../../../agent/quantize/tflite/weight-only.ts';
import { value } from '../../support/tflite-models.ts';
import {
  batchMatMul,
  dense,
  listing,
  oneLayer,
  ramp,
  smallNet,
  tensorNamed,
  weights,
} from './layers.ts';

const scheme = schemePresets['weight-int8'];

test('weights behind a DEQUANTIZE, per channel, right before who reads them', () => {
  const { model, ops } = quantizeWeights(smallNet(), scheme);
  expect(listing(model)).toEqual([
    'DEQUANTIZE.5(filters_int8) -> filters',
    'CONV_2D.1(image, filters, filter bias) -> features',
    'RESHAPE.1(features, shape) -> flat',
    'DEQUANTIZE.5(dense_int8) -> dense',
    'FULLY_CONNECTED.1(flat, dense, -) -> hidden',
    'FULLY_CONNECTED.1(hidden, small, -) -> scores',
  ]);
  expect(tensorNamed(model, 'dense')).toMatchObject({ type: 'FLOAT32', data: null });
  expect(tensorNamed(model, 'dense_int8').quantization).toMatchObject({ axis: 0 });
  // The second row runs from 512 * 0.001 - 0.5 = 0.012 to 0.523.
  const scale = Math.fround(Math.fround(-0.5 + 1023 * 0.001) / 127);
  expect(tensorNamed(model, 'dense_int8').quantization?.scale[1]).toBe(scale);
  expect(tensorNumbers(tensorNamed(model, 'dense_int8'))[1023]).toBe(127);
  expect(ops.map(({ precision }) => precision)).toEqual(['float', 'float', 'float', 'float']);
  expect(ops[0]?.reason).toBe('computes in float, with weights in 8 bits');
  expect(ops[3]?.reason).toBe('has no weights worth storing in 8 bits');
});

test('per tensor by request, with an older DEQUANTIZE', () => {
  const { model } = quantizeWeights(smallNet(), { ...scheme, perChannel: false });
  expect(listing(model)[0]).toBe('DEQUANTIZE.2(filters_int8) -> filters');
});

test.each([
  [false, [32, 48], 1],
  [true, [48, 32], 0],
])('the channels of a matrix product, transposed: %s', (adjY, shape, axis) => {
  const model = oneLayer(
    [value('x', [1, 4, 32]), weights('w', shape), value('y', [1, 4, 48])],
    (inputs, to) => batchMatMul(inputs, to, { adjY }),
  );
  const stored = tensorNamed(quantizeWeights(model, scheme).model, 'w_int8');
  expect(stored.quantization).toMatchObject({ axis });
  expect(stored.quantization?.scale).toHaveLength(48);
});

test('two readers share one DEQUANTIZE', () => {
  const model = oneLayer([value('x', [1, 64]), weights('w', [32, 64]), value('y')], dense);
  const [graph] = model.subgraphs;
  const twice = {
    ...model,
    subgraphs: [
      {
        ...graph!,
        tensors: [...graph!.tensors, value('z')],
        outputs: [2, 3],
        operators: [...graph!.operators, dense([0, 1], 3)],
      },
    ],
  };
  expect(listing(quantizeWeights(twice, scheme).model)).toEqual([
    'DEQUANTIZE.5(w_int8) -> w',
    'FULLY_CONNECTED.1(x, w) -> y',
    'FULLY_CONNECTED.1(x, w) -> z',
  ]);
});

test('4-bit weights are refused with the reason, as are models without weights worth it', () => {
  expect(() => quantizeWeights(smallNet(), schemePresets['weight-int4'])).toThrow(
    'TFLite before 2.18 cannot make floats of 4-bit weights',
  );
  const tiny = oneLayer([value('x', [1, 8]), weights('w', [8, 8]), value('y')], dense);
  expect(() => quantizeWeights(tiny, scheme)).toThrow('no weights of 1024 values or more');
  const infinite = weights('w', [32, 64], ramp(2048).fill(Infinity, 5, 6));
  const broken = oneLayer([value('x', [1, 64]), infinite, value('y')], dense);
  expect(() => quantizeWeights(broken, scheme)).toThrow('no weights of 1024 values or more');
});
