import { expect, test } from '@jest/globals';
import { clean, loadFailure } from '../../../agent/runtime/tflite/errors.ts';
import { newerNeeded, opName } from '../../../agent/runtime/tflite/op-versions.ts';

test.each([
  ['FULLY_CONNECTED', 12, '2.9.0', 'needs TFLite 2.17 or later, and 2.9.0 is loaded'],
  ['CONV_2D', 6, '2.8.4', 'needs TFLite 2.9 or later, and 2.8.4 is loaded'],
  // The table says that 2.16 has it, the library says that it has not.
  ['GATHER_ND', 5, '2.20.1', 'needs a newer TFLite than 2.20.1, and 2.20.1 is loaded'],
  ['CONV_2D', 50, '2.9.0', 'needs a newer TFLite than 2.9.0, and 2.9.0 is loaded'],
  ['constructor', 1, '2.9.0', 'needs a newer TFLite than 2.9.0, and 2.9.0 is loaded'],
])('%s version %i on %s', (op, version, loaded, expected) => {
  expect(newerNeeded(op, version, loaded)).toBe(`op ${op} version ${version} ${expected}`);
});

test('names numbers that the library has no name for', () => {
  // From the enum BuiltinOperator of the schema.
  const numbers = [152, 158, 161, 163, 203, 206, 209];
  expect(numbers.map(opName)).toEqual([
    'RELU_0_TO_1',
    'SIGN',
    'RIGHT_SHIFT',
    'STABLEHLO_ADD',
    'DILATE',
    'STABLEHLO_COMPOSITE',
    'STABLEHLO_CASE',
  ]);
  expect(opName(999)).toBe('number 999');
});

test('what is unknown is passed on in one line, cut, without source paths', () => {
  const text = 'tensorflow/lite/kernels/add.cc:42 a != b (1 != 2)\nNode number 3 (ADD) failed.';
  expect(clean(text)).toBe('a != b (1 != 2) Node number 3 (ADD) failed.');
  expect(clean('x'.repeat(999))).toHaveLength(303);
  expect(clean(' \n')).toBe('TFLite does not say why');
  const failure = loadFailure('m.tflite', text, { version: '2.9.0' }, 'UNSUPPORTED');
  expect(failure).toMatchObject({
    code: 'UNSUPPORTED',
    message: `cannot load m.tflite: ${clean(text)}`,
  });
});
