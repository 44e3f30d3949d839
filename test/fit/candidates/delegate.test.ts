import { expect, test } from '@jest/globals';
import { noScheme } from '../../../agent/contracts/scheme.ts';
import { checkDelegate, withDelegate } from '../../../agent/fit/candidates/delegate.ts';
import type { Candidate } from '../../../agent/fit/types.ts';

const candidate: Candidate = {
  id: 'tflite/fp32/t1',
  precision: 'fp32',
  method: 'none',
  runtime: 'tflite',
  threads: 1,
  scheme: noScheme,
  why: 'the file as it is',
};

test('candidates say what runs them', () => {
  const options = { device: 'usb:0', log: '' };
  const [made] = withDelegate([candidate], { path: 'libx.so', options });
  expect(made?.why).toBe('the file as it is; with the delegate libx.so (device=usb:0, log=)');
  expect(withDelegate([candidate], undefined)).toEqual([candidate]);
});

test('only TFLite has delegates', () => {
  const delegate = { path: 'libx.so', options: {} };
  expect(() => checkDelegate(delegate, 'onnx')).toThrow(
    '--delegate is for TFLite models, and this one is onnx: leave it out',
  );
  expect(() => checkDelegate(delegate, 'tflite')).not.toThrow();
  expect(() => checkDelegate(undefined, 'onnx')).not.toThrow();
});
