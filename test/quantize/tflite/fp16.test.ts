import { expect, test } from '@jest/globals';
import { schemePresets } from '../../../agent/contracts/scheme.ts';
import { tensorNumbers } from '../../../agent/model/tflite/tensor.ts';
import { quantizeDynamic } from '../../../agent/quantize/tflite/dynamic.ts';
import { storeExactHalves, toFp16 } from '../../../agent/quantize/tflite/fp16.ts';
import { add, tfliteBytes, tinyTflite, value } from '../../support/tflite-models.ts';
import { openNewest, runNewest } from '../../support/litert.ts';
import { floats, sqnr } from '../support.ts';
import { dense, listing, oneLayer, plain, ramp, smallNet, tensorNamed, weights } from './layers.ts';

const scheme = schemePresets.fp16;

test('constants in 16 bits, small ones as they were but beside a large one', () => {
  const { model, ops, clamped } = toFp16(smallNet(), scheme);
  expect(listing(model)).toEqual([
    'DEQUANTIZE.3(filters_float16) -> filters',
    'DEQUANTIZE.3(filter bias_float16) -> filter bias',
    'CONV_2D.1(image, filters, filter bias) -> features',
    'RESHAPE.1(features, shape) -> flat',
    'DEQUANTIZE.3(dense_float16) -> dense',
    'FULLY_CONNECTED.1(flat, dense, -) -> hidden',
    'FULLY_CONNECTED.1(hidden, small, -) -> scores',
  ]);
  expect(ops.map(({ op, precision }) => [op, precision])).toEqual([
    ['CONV_2D', 'fp16'],
    ['RESHAPE', 'float'],
    ['FULLY_CONNECTED', 'fp16'],
    ['FULLY_CONNECTED', 'float'],
  ]);
  expect(clamped).toEqual([]);
  const stored = tensorNamed(model, 'filters_float16');
  expect(stored).toMatchObject({ type: 'FLOAT16', quantization: null });
  expect(stored.data).toHaveLength(2304 * 2);
  // -0.499 lies between 2^-2 and 2^-1, where float16 has steps of 2^-12: -2044 of them.
  expect(tensorNumbers(stored).slice(0, 2)).toEqual([-0.5, -2044 / 4096]);
});

test('half the bytes', () => {
  const saved =
    tfliteBytes(smallNet()).length - tfliteBytes(toFp16(smallNet(), scheme).model).length;
  expect(saved).toBeLessThan((2304 + 20480) * 2);
  expect(saved).toBeGreaterThan((2304 + 20480) * 2 - 1024);
});

test('values out of range are clamped and counted, infinities stay', () => {
  const values = ramp(512).fill(1e6, 0, 2).fill(-Infinity, 2, 3).fill(65504, 3, 4);
  const model = oneLayer(
    [value('x', [32, 16]), weights('w', [32, 16], values), value('y')],
    (i, o) => add(i[0]!, i[1]!, o),
  );
  const { model: half, clamped } = toFp16(model, scheme);
  expect(clamped).toEqual([{ tensor: 'w', values: 2 }]);
  expect(tensorNumbers(tensorNamed(half, 'w_float16')).slice(0, 5)).toEqual([
    65504,
    65504,
    -Infinity,
    65504,
    4,
  ]);
});

test('one DEQUANTIZE for all readers; an excluded reader keeps the floats for all', () => {
  const model = tinyTflite({
    tensors: [value('x', [1, 32]), weights('w', [32, 32]), value('y'), value('z')],
    inputs: [0],
    outputs: [2, 3],
    operators: [dense([0, 1], 2), dense([0, 1], 3)],
  });
  expect(listing(toFp16(model, scheme).model)).toEqual([
    'DEQUANTIZE.3(w_float16) -> w',
    'FULLY_CONNECTED.1(x, w) -> y',
    'FULLY_CONNECTED.1(x, w) -> z',
  ]);
  expect(() => toFp16(model, { ...scheme, excluded: ['z'] })).toThrow(
    expect.objectContaining({ code: 'NOTHING_TO_QUANTIZE' }),
  );
});

test('constants that give a size stay', () => {
  const model = oneLayer([value('x'), weights('w', [512]), value('y')], (inputs, output) =>
    plain('RANGE', inputs, output),
  );
  expect(() => toFp16(model, scheme)).toThrow('no float32 constants of 256 values or more');
});

test('a bias beside weights in 8 bits stays float32: newer libraries would not decode it in time', async () => {
  const float = tinyTflite({
    tensors: [
      value('x', [1, 64]),
      weights('w', [300, 64]),
      weights('b', [300], ramp(300, 0.01, -1)),
      value('h', [1, 300]),
      weights('c', [300], ramp(300, -0.01, 2)),
      value('y', [1, 300]),
    ],
    inputs: [0],
    outputs: [5],
    operators: [dense([0, 1, 2], 3), add(3, 4, 5)],
  });
  const perTensor = { ...schemePresets['int8-dynamic'], perChannel: false };
  const hybrid = quantizeDynamic(float, perTensor).model;
  const { model } = toFp16(hybrid, scheme);
  expect(listing(model)).toEqual([
    'FULLY_CONNECTED.9(x, w_int8, b) -> h',
    'DEQUANTIZE.3(c_float16) -> c',
    'ADD.1(h, c) -> y',
  ]);
  expect(tensorNamed(model, 'b')).toMatchObject({ type: 'FLOAT32' });
  const x = { x: { dtype: 'float32', shape: [1, 64], data: ramp(64, 1 / 32, -1) } } as const;
  const [before] = await runNewest(hybrid, [x]);
  const [after] = await runNewest(model, [x]);
  expect(sqnr(floats(before?.['y']?.data), floats(after?.['y']?.data))).toBeGreaterThan(60);
});

test('XNNPACK of the newest runtime takes all layers', async () => {
  const session = await openNewest(tfliteBytes(toFp16(smallNet(), scheme).model));
  expect(session.isDelegated).toBe(true);
  await session.close();
});

test('a filter whose bias has to stay in float32 stays with it', () => {
  const layer = (bias: Float32Array) =>
    oneLayer(
      [
        value('x', [1, 64]),
        weights('w', [32, 64], ramp(2048, 1 / 64, -16)),
        weights('b', [32], bias),
        value('y', [1, 32]),
      ],
      dense,
    );
  // Multiples of 1/64 below 32 are exact in 16 bits, thirds are not.
  const exact = storeExactHalves(layer(ramp(32, 1 / 64)));
  expect(listing(exact)).toEqual([
    'DEQUANTIZE.3(w_float16) -> w',
    'DEQUANTIZE.3(b_float16) -> b',
    'FULLY_CONNECTED.1(x, w, b) -> y',
  ]);
  const kept = layer(ramp(32, 1 / 3));
  expect(storeExactHalves(kept)).toBe(kept);
});

test('what loses nothing in 16 bits is stored so, and nothing else', () => {
  // 63.75 to -64 in quarters, minus zero, and the smallest float16 above zero.
  const exact = ramp(512)
    .map((_, at) => (255 - at) / 4)
    .fill(-0, 0, 1)
    .fill(2 ** -24, 1, 2);
  const tensors = [value('x'), weights('w', [512], exact), weights('v', [512]), value('y')];
  const model = (one: 1 | 2) =>
    tinyTflite({ tensors, inputs: [0], outputs: [3], operators: [add(0, one, 3)] });
  const stored = storeExactHalves(model(1));
  expect(listing(stored)).toEqual(['DEQUANTIZE.3(w_float16) -> w', 'ADD.1(x, w) -> y']);
  expect(Float32Array.from(tensorNumbers(tensorNamed(stored, 'w_float16')))).toEqual(exact);
  expect(storeExactHalves(model(2))).toEqual(model(2));
  // One value that float16 does not hold.
  const nearly = exact.slice().fill(1 / 3, 9, 10);
  const other = tinyTflite({
    tensors: [value('x'), weights('w', [512], nearly), value('y')],
    inputs: [0],
    outputs: [2],
    operators: [add(0, 1, 2)],
  });
  expect(storeExactHalves(other)).toBe(other);
});
