import { describe, expect, test } from '@jest/globals';
import { FidelityMeter, WORST_SQNR_DB } from '../../agent/bench/fidelity.ts';
import type { Outputs, Tensor } from '../../agent/runtime/types.ts';

function floats(...values: number[]): Tensor {
  return { dtype: 'float32', shape: [1, values.length], data: new Float32Array(values) };
}

function compare(pairs: readonly (readonly [Outputs, Outputs])[], taskOutput?: string) {
  const meter = new FidelityMeter(taskOutput);
  for (const [reference, outputs] of pairs) meter.add(reference, outputs);
  return meter.result();
}

test('sums signal and error over all outputs of all samples', () => {
  const result = compare([
    [
      { a: floats(3, 4), b: floats(0) },
      { a: floats(3, 3), b: floats(0) },
    ],
    [
      { a: floats(1, 2), b: floats(2) },
      { a: floats(2, 1), b: floats(2) },
    ],
  ]);
  // signal 9+16+1+4+4 = 34, error 1+1+1 = 3, other 9+9+4+1+4 = 27, product 9+12+2+2+4 = 29
  expect(result).toEqual({
    sqnrDb: expect.closeTo(10 * Math.log10(34 / 3), 9),
    cosine: expect.closeTo(29 / Math.sqrt(34 * 27), 9),
    top1Agreement: 0, // 1 against 0 (the first of two equals), then 1 against 0
    samples: 2,
  });
});

test('identical outputs have no noise', () => {
  const outputs = { a: floats(1, Number.NaN, Infinity) };
  expect(compare([[outputs, outputs]])).toEqual({
    sqnrDb: null,
    cosine: 1,
    top1Agreement: 1,
    samples: 1,
  });
});

test.each([
  ['NaN for a number', [1, 2], [1, Number.NaN]],
  ['infinity for a number', [1, 2], [1, Infinity]],
  ['a number for NaN', [1, Number.NaN], [1, 2]],
])('%s is as bad as can be, and still a number', (_, reference, values) => {
  const result = compare([[{ a: floats(...reference) }, { a: floats(...values) }]]);
  expect(result).toMatchObject({ sqnrDb: WORST_SQNR_DB, cosine: 0 });
});

test('noise where the reference is silent', () => {
  expect(compare([[{ a: floats(0, 0) }, { a: floats(0, 1) }]])).toMatchObject({
    sqnrDb: WORST_SQNR_DB,
    cosine: 0,
  });
});

test('top-1 looks at the output of the task, else at the first', () => {
  const reference = { a: floats(1, 2), b: floats(5, 1) };
  const outputs = { a: floats(2, 1), b: floats(9, 1) };
  expect(compare([[reference, outputs]], 'b').top1Agreement).toBe(1);
  expect(compare([[reference, outputs]]).top1Agreement).toBe(0);
  expect(compare([[reference, outputs]], 'c').top1Agreement).toBe(0);
});

test('top-1 of a fixed batch is that of its first row', () => {
  const rows = (...values: number[]): Tensor => ({ ...floats(...values), shape: [2, 2] });
  const meter = new FidelityMeter();
  // The same picture twice: another row is on top, the class is the same.
  meter.add({ a: rows(1, 4, 1, 5) }, { a: rows(1, 5, 1, 4) }, { image: rows(7, 8, 7, 8) });
  expect(meter.result().top1Agreement).toBe(1);
});

describe('outputs are paired', () => {
  test('by name, whatever their order', () => {
    const result = compare([
      [
        { a: floats(1), b: floats(2) },
        { b: floats(2), a: floats(1) },
      ],
    ]);
    expect(result.sqnrDb).toBeNull();
  });

  test('by position where a name is missing', () => {
    const result = compare([
      [
        { a: floats(1), b: floats(2) },
        { x: floats(1), y: floats(2) },
      ],
    ]);
    expect(result.sqnrDb).toBeNull();
  });

  test('or refused when there are more', () => {
    const outputs = { x: floats(1, 2), y: floats(1) };
    expect(() => compare([[{ a: floats(1, 2) }, outputs]])).toThrow(
      'has 2 outputs, its reference 1',
    );
  });
});

describe('an output of another size', () => {
  const same = floats(3, 4);

  test('is all error and no agreement, and its sample counts', () => {
    const result = compare([
      [{ a: same }, { a: same }],
      [{ a: floats(1, 2, 2) }, { a: floats(1, 2) }],
    ]);
    // signal 25 + 9 = 34, error 9, other 25 + 5 = 30, product 25
    expect(result).toEqual({
      sqnrDb: expect.closeTo(10 * Math.log10(34 / 9), 9),
      cosine: expect.closeTo(25 / Math.sqrt(34 * 30), 9),
      top1Agreement: 0.5,
      samples: 2,
    });
  });

  test('is an error also where the reference is empty', () => {
    const result = compare([
      [{ a: same }, { a: same }],
      [{ a: floats() }, { a: floats(2, 1) }],
    ]);
    expect(result.sqnrDb).toBeCloseTo(10 * Math.log10(25 / 5), 9);
  });

  test('does not decide the arg max of another output', () => {
    const result = compare(
      [
        [
          { boxes: floats(1, 2, 2), a: same },
          { boxes: floats(1), a: same },
        ],
      ],
      'a',
    );
    expect(result.top1Agreement).toBe(1);
  });
});

test('every element type counts: float16 bits, int64, bool; text does not', () => {
  const reference: Outputs = {
    half: { dtype: 'float16', shape: [4], data: new Uint16Array([0x3c00, 0xc000, 0x0001, 0x7bff]) },
    big: { dtype: 'int64', shape: [1], data: new BigInt64Array([5n]) },
    flag: { dtype: 'bool', shape: [1], data: new Uint8Array([1]) },
    text: { dtype: 'string', shape: [1], data: ['a'] },
  };
  const outputs: Outputs = {
    half: floats(1, -2, 2 ** -24, 65504),
    big: floats(5),
    flag: floats(1),
    text: { dtype: 'string', shape: [1], data: ['b'] },
  };
  expect(compare([[reference, outputs]]).sqnrDb).toBeNull();
});
