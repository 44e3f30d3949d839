import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { explainFailure } from '../../../agent/runtime/tensorrt/failures.ts';
import { available, sharedDir, testIf } from '../../support/available.ts';

const explain = (...errors: readonly string[]) =>
  explainFailure('build an engine of m.onnx', errors.join('\n'), errors);

test.each([
  ['Unknown option: --exportLayerInfo x', 'UNSUPPORTED', '--exportLayerInfo'],
  ['No importer registered for op: EfficientNMS', 'UNSUPPORTED', 'no operator EfficientNMS'],
  ['Unsupported operator GridSample', 'UNSUPPORTED', 'no operator GridSample'],
  ['onnx::Q_1: invalid weights type of Int8', 'UNSUPPORTED', '--format tensorrt'],
  [
    'TensorRT only supports symmetric quantization. The zero point must be all zeros.',
    'UNSUPPORTED',
    'zero points of 0 only',
  ],
  ['Error Code 2: OutOfMemory (out of memory)', 'OUT_OF_MEMORY', 'memory ran out'],
  ['Could not find any implementation for node conv1 + relu.', 'UNSUPPORTED', 'conv1 + relu'],
  ['Cannot create DLA engine, 0 is not available', 'UNSUPPORTED', 'no DLA here'],
  [
    'The engine plan file is not compatible with this version of TensorRT, expecting library version 8.5.2.2 got 8.5.2.1',
    'INVALID_MODEL',
    'build it again here',
  ],
  ['CUDA initialization failure with error: 35', 'START_FAILED', 'CUDA does not start'],
  ['something that nobody has seen before', 'RUN_FAILED', 'something that nobody'],
])('%s', (line, code, words) => {
  const failure = explain(line, 'Engine could not be created from network');
  expect(failure.code).toBe(code);
  expect(failure.message).toContain('cannot build an engine of m.onnx');
  expect(failure.message).toContain(words);
  expect(failure.message).not.toContain('\n');
});

test('what follows from a failure is not what is told', () => {
  expect(explain('Building engine failed', 'the reason').message).toContain('trtexec: the reason');
});

test('nothing was said', () => {
  expect(explain().message).toContain('said nothing');
});

test('a long message is cut', () => {
  expect(explain('x'.repeat(10_000)).message.length).toBeLessThan(400);
});

testIf('shared')('the GPU of a TX2', () => {
  if (!available('shared')) return;
  const path = sharedDir('boards/outputs/tensorrtx/tx2-int8-unsupported.txt');
  const failure = explainFailure('build', readFileSync(path, 'utf8'), []);
  expect(failure).toMatchObject({ code: 'UNSUPPORTED' });
  expect(failure.message).toContain('no INT8 arithmetic');
});
