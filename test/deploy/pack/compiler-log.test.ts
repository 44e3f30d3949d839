import { expect, test } from '@jest/globals';
import { compilerWords, parseCompilerLog } from '../../../agent/deploy/pack/compiler-log.ts';

// In the form that https://coral.ai/docs/edgetpu/compiler shows, with figures of our own.
const LOG = `Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 1515 ms.

Input model: model_int8.tflite
Input size: 3.00MiB
Output model: model_int8_edgetpu.tflite
Output size: 3.11MiB
On-chip memory used for caching model parameters: 3.25MiB
On-chip memory remaining for caching model parameters: 4.39MiB
Off-chip memory used for streaming uncached model parameters: 512.00KiB
Number of Edge TPU subgraphs: 1
Total number of operations: 66
Operation log: model_int8_edgetpu.log

Model successfully compiled but not all operations are supported by the Edge TPU.
Number of operations that will run on Edge TPU: 64
Number of operations that will run on CPU: 2

Operator                       Count      Status

CONV_2D                        36         Mapped to Edge TPU
DEPTHWISE_CONV_2D              17         Mapped to Edge TPU
ADD                            11         Mapped to Edge TPU
QUANTIZE                       1          Operation is otherwise supported, but not mapped due to some unspecified limitation
SOFTMAX                        1          More than one subgraph is not supported
Compilation child process completed within timeout period.
Compilation succeeded! 
`;

test('a log tells what runs where, and how much fits on the chip', () => {
  const { operators, ...rest } = parseCompilerLog(LOG);
  expect(rest).toEqual({
    version: '16.0.384591198',
    onChipBytes: 3_407_872,
    offChipBytes: 524_288,
    mapped: 64,
  });
  expect(operators).toHaveLength(5);
  expect(operators[4]).toEqual({
    op: 'SOFTMAX',
    count: 1,
    status: 'More than one subgraph is not supported',
  });
});

test('without the sum, the table is added up; without both, nothing is guessed', () => {
  expect(parseCompilerLog(LOG.replace(/^Number of operations.*$/gm, '')).mapped).toBe(64);
  expect(parseCompilerLog('Edge TPU Compiler version 2\n')).toEqual({
    version: '2',
    onChipBytes: null,
    offChipBytes: null,
    operators: [],
    mapped: null,
  });
});

test.each([
  ['', 'it does not say why'],
  ['Edge TPU Compiler version 16\nStarted a compilation timeout timer\n', 'it does not say why'],
  ['a\nERROR: b\u001b[31m\n\n c \nd', 'ERROR: b [31m; c; d'],
  [`x${'y'.repeat(400)}`, `x${'y'.repeat(299)}...`],
])('the words of %j', (text, words) => {
  expect(compilerWords(text)).toBe(words);
});
