import { expect, test } from '@jest/globals';
import { tensorNumbers } from '../../../agent/model/tflite/tensor.ts';
import { makeOperator } from '../../../agent/model/tflite/types.ts';
import { foldFakeQuant } from '../../../agent/quantize/tflite/fake-quant.ts';
import { constant, tinyTflite, value } from '../../support/tflite-models.ts';
import { dense, listing, plain, tensorNamed } from './layers.ts';

const fakeQuant = (
  input: number,
  output: number,
  [min, max]: readonly [number, number],
  { numBits = 8, narrowRange = false } = {},
) =>
  makeOperator({
    op: 'FAKE_QUANT',
    inputs: [input],
    outputs: [output],
    options: { kind: 'FakeQuantOptions', min, max, numBits, narrowRange },
  });

test('ranges of activations, weights and results', () => {
  const model = tinyTflite({
    tensors: [
      value('x', [1, 2]),
      value('x rounded', [1, 2]),
      constant('w', Float32Array.of(0.9, -1, 0.1, 2), { shape: [2, 2] }),
      value('w rounded', [2, 2]),
      value('sum', [1, 2]),
      value('y', [1, 2]),
    ],
    inputs: [0],
    outputs: [5],
    operators: [
      fakeQuant(0, 1, [-1, 1.55]),
      fakeQuant(2, 3, [-1.27, 1.27], { narrowRange: true }),
      dense([1, 3, -1], 4),
      fakeQuant(4, 5, [0, 6]),
    ],
  });
  const { model: folded, ranges } = foldFakeQuant(model);
  expect(listing(folded)).toEqual(['FULLY_CONNECTED.1(x, w, -) -> y']);
  // Steps of 0.01: zero is the hundredth, so nothing moves.
  expect(ranges.get('x')!.min).toBeCloseTo(-1, 12);
  expect(ranges.get('x')!.max).toBeCloseTo(1.55, 12);
  // A narrow range leaves out the lowest of 256 values: the grid goes on one step below.
  expect(ranges.get('w')!.min).toBeCloseTo(-1.28, 12);
  expect(ranges.get('w')!.max).toBeCloseTo(1.27, 12);
  expect(ranges.get('y')).toEqual({ min: 0, max: 6, bits: 8 });
  expect([...ranges.keys()].toSorted()).toEqual(['w', 'x', 'y']);
  const stored = tensorNumbers(tensorNamed(folded, 'w'));
  expect(stored.map((one) => Math.round(one * 1e6) / 1e6)).toEqual([0.9, -1, 0.1, 1.27]);
});

test('zero moves onto the grid, as the kernel does it', () => {
  // 15 steps of 0.1 from -0.46: zero lies at 4.6, so 5 steps below it and 10 above.
  const model = tinyTflite({
    tensors: [value('x'), value('rounded'), value('y')],
    inputs: [0],
    outputs: [2],
    operators: [fakeQuant(0, 1, [-0.46, 1.04], { numBits: 4 }), plain('RELU', [1], 2)],
  });
  const range = foldFakeQuant(model).ranges.get('x')!;
  expect(range.bits).toBe(4);
  expect(range.min).toBeCloseTo(-0.5, 12);
  expect(range.max).toBeCloseTo(1, 12);
});

test('what cannot be taken out stays', () => {
  const through = tinyTflite({
    tensors: [value('x'), value('y')],
    inputs: [0],
    outputs: [1],
    operators: [fakeQuant(0, 1, [0, 1])],
  });
  expect(foldFakeQuant(through)).toEqual({ model: through, ranges: new Map() });
  const twice = tinyTflite({
    tensors: [value('x'), value('a'), value('b'), value('y')],
    inputs: [0],
    outputs: [3],
    operators: [fakeQuant(0, 1, [0, 1]), fakeQuant(1, 2, [0, 2]), plain('RELU', [2], 3)],
  });
  const { model, ranges } = foldFakeQuant(twice);
  expect(listing(model)).toEqual(['FAKE_QUANT.1(x) -> b', 'RELU.1(b) -> y']);
  expect([...ranges.keys()]).toEqual(['x']);
});

test('a range that says nothing is left alone', () => {
  const model = tinyTflite({
    tensors: [value('x'), value('a'), value('y')],
    inputs: [0],
    outputs: [2],
    operators: [fakeQuant(0, 1, [1, 1]), plain('RELU', [1], 2)],
  });
  expect(foldFakeQuant(model).ranges.size).toBe(0);
});

test('ranges go by names that are unique in what is returned', () => {
  const model = tinyTflite({
    tensors: [value('t'), value('t'), value('t'), value('t')],
    inputs: [0],
    outputs: [3],
    operators: [plain('RELU', [0], 1), fakeQuant(1, 2, [0, 3]), plain('RELU', [2], 3)],
  });
  const { model: folded, ranges } = foldFakeQuant(model);
  const [name] = [...ranges.keys()];
  expect(listing(folded)).toEqual([`RELU.1(t) -> ${name}`, `RELU.1(${name}) -> t`]);
});
