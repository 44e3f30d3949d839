import { describe, expect, test } from '@jest/globals';
import { inputSpecsFromModel } from '../../agent/calibration/inputs.ts';
import type { TensorType } from '../../agent/runtime/types.ts';
import { model } from './support.ts';

const image = {
  width: 320,
  height: 240,
  color: 'rgb',
  layout: 'nchw',
  mean: [0],
  std: [1],
  resize: 'stretch',
};

describe('inputSpecsFromModel', () => {
  test.each<[(number | string)[], object]>([
    [[1, 3, 240, 320], image],
    [[1, 240, 320, 3], { ...image, layout: 'nhwc' }],
    [['batch', 240, 320, 1], { ...image, layout: 'nhwc', color: 'gray' }],
    [[1, 1, 240, 320], { ...image, color: 'gray' }],
  ])('%j is a picture', (shape, expected) => {
    const { inputs, assumed } = inputSpecsFromModel(model({ x: ['float32', shape] }));
    expect(inputs).toEqual({ x: { image: expected } });
    expect(assumed).toHaveLength(1);
    expect(assumed[0]).toMatch(
      /^input x \[.*\]: pictures of 320x240, .* mean 0 std 1: values 0 to 255, /,
    );
  });

  test.each<[TensorType, (number | string)[]]>([
    ['float32', [1, 4, 240, 320]],
    ['float32', [1, 16]],
    ['int64', [1, 3, 240, 320]],
    ['float32', [1, 3, 'height', 'width']],
  ])('%s %j takes arrays', (dtype, shape) => {
    const { inputs, assumed } = inputSpecsFromModel(model({ x: [dtype, shape] }));
    expect(inputs).toEqual({ x: { array: {} } });
    expect(assumed[0]).toMatch(/takes ready arrays$/);
  });

  test('flags come before guesses and fill open sizes', () => {
    const flags = {
      imageSize: { width: 320, height: 240 },
      color: 'bgr',
      mean: [127, 127, 127],
      std: [128],
      resize: 'crop',
    } as const;
    const open = model({ x: ['float32', [null, 3, 'height', 'width']] });
    expect(inputSpecsFromModel(open, flags).inputs).toEqual({
      x: { image: { ...image, color: 'bgr', mean: [127, 127, 127], std: [128], resize: 'crop' } },
    });
  });

  test('a manifest comes before everything', () => {
    const given = { x: { array: {} } };
    const pictures = model({ x: ['float32', [1, 3, 8, 8]] });
    // A name that every object seems to have.
    const other = { name: 'constructor', dtype: 'float32', shape: [2] } as const;
    const both = { inputs: [...pictures.inputs, other], outputs: [] };
    const { inputs, assumed } = inputSpecsFromModel(both, {}, given);
    expect(Object.entries(inputs)).toEqual([
      ['x', { array: {} }],
      ['constructor', { array: {} }],
    ]);
    expect(assumed).toEqual(['input constructor [2]: takes ready arrays']);
  });

  test('audio flags make windows as long as the input', () => {
    const flags = { audio: { rateHz: 16000, hopSamples: 256 } };
    expect(inputSpecsFromModel(model({ x: ['float32', [1, 512]] }), flags).inputs).toEqual({
      x: { audio: { rateHz: 16000, windowSamples: 512, hopSamples: 256 } },
    });
  });

  test.each([
    [
      { imageSize: { width: 8, height: 8 } },
      'image flags (imageSize) fit no input of the model: x [1, 16]',
    ],
    [{ std: [2] }, 'image flags (std) fit no input'],
  ])('flags that change nothing are refused: %j', (options, message) => {
    const vector = model({ x: ['float32', [1, 16]] });
    expect(() => inputSpecsFromModel(vector, options)).toThrow(message);
  });

  test('values that make no sense are refused', () => {
    const pictures = model({ x: ['float32', [1, 3, 8, 8]] });
    expect(() => inputSpecsFromModel(pictures, { std: [0] })).toThrow(
      'input x: std.0: must not be zero',
    );
    expect(() => inputSpecsFromModel(pictures, { mean: [1, 2] })).toThrow(
      'input x: mean: must hold 1 or 3 numbers',
    );
  });
});
