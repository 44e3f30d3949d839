import { expect, test } from '@jest/globals';
import { crashFailure } from '../../agent/runtime/crash.ts';

test('what a library says when all is well does not explain a crash', () => {
  const exit = { code: 3, signal: null };
  const info = 'INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n';
  expect(crashFailure('worker', exit, `malloc(): corrupted\n${info}`).message).toBe(
    'worker crashed: exit code 3; it said: malloc(): corrupted',
  );
  expect(crashFailure('worker', exit, info).message).toBe('worker crashed: exit code 3');
});
