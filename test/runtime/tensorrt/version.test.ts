import { expect, test } from '@jest/globals';
import { versionOfBanner, versionText } from '../../../agent/runtime/tensorrt/version.ts';

test.each([
  ['v8001', '8.0.1'],
  ['v8201', '8.2.1'],
  ['v8412', '8.4.12'],
  ['v8502', '8.5.2'],
  ['v8601', '8.6.1'],
  ['v9300', '9.3.0'],
  ['v100300', '10.3.0'],
  ['v101100', '10.11.0'],
  ['v101602', '10.16.2'],
])('%s is TensorRT %s', (number, text) => {
  const version = versionOfBanner(`&&&& RUNNING TensorRT.trtexec [TensorRT ${number}] [b26] # x`);
  expect(version && versionText(version)).toBe(text);
});

test('a banner without a version, and one that is none', () => {
  expect(versionOfBanner('&&&& RUNNING TensorRT.trtexec # trtexec')).toBeUndefined();
  expect(versionOfBanner('[TensorRT v12345678901]')).toBeUndefined();
});
