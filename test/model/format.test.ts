import { expect, test } from '@jest/globals';
import { lookalikeOf } from '../../agent/model/format.ts';
import { openModel } from '../../agent/model/open.ts';

test.each([
  ['PK\x03\x04model/data.pkl', 'ZIP archive'],
  ['\x89HDF\r\n\x1a\n', 'HDF5'],
  ['\x80\x02}q\x00', 'pickle'],
  ['\x40\x00\x00\x00\x00\x00\x00\x00{"weight":', 'safetensors'],
  ['version https://git-lfs.github.com/spec/v1\noid', 'git lfs pull'],
  ['<!DOCTYPE html>', 'web page'],
  ['\x93NUMPY\x01\x00', '--samples'],
  ['\xff\xd8\xff\xe0', 'an image'],
  ['hello', 'neither an ONNX nor a TFLite model'],
])('a file that begins with %j', (start, says) => {
  const bytes = Buffer.from(start, 'latin1');
  expect(lookalikeOf(bytes)).toContain(says);
  expect(() => openModel(bytes)).toThrow(says);
});

test('what begins as ONNX does is told where it breaks', () => {
  // ir_version 8, then a graph of 5 bytes of which there are 2.
  const cut = Buffer.from([0x08, 0x08, 0x3a, 0x05, 0x0a, 0x00]);
  expect(lookalikeOf(cut)).toBeNull();
  expect(() => openModel(cut)).toThrow('cut off');
});
