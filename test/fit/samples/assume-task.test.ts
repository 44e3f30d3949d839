import { expect, test } from '@jest/globals';
import { assumeTask } from '../../../agent/fit/samples/assume-task.ts';

const model = (...shape: readonly (number | string | null)[]) => ({
  inputs: [],
  outputs: [{ name: 'scores', dtype: 'float32', shape }] as const,
});
const classes = { kind: 'classification', output: 'scores', labelOffset: 0 };

test.each([
  [[1, 10], classes],
  [['batch', 10], classes],
  [[1, 'classes'], classes],
  [[10], classes],
  [[1, 1], null],
  [[], null],
  [[1, 68, 18], null],
  [[1, 3, 224, 224], null],
])('labels for an output of shape %j', (shape, expected) => {
  const { task, warnings } = assumeTask(null, model(...shape), true);
  expect(task).toEqual(expected);
  expect(warnings).toHaveLength(1);
});

test('what the manifest says comes first, and without labels nothing is assumed', () => {
  const given = { kind: 'ctc', labelOffset: 0, blank: 67 };
  expect(assumeTask(given, model(1, 10), true)).toEqual({ task: given, warnings: [] });
  expect(assumeTask(null, model(1, 10), false)).toEqual({ task: null, warnings: [] });
});

test('labels of a task without a metric are not passed over in silence', () => {
  const given = { kind: 'clasification', labelOffset: 0 };
  expect(assumeTask(given, model(1, 10), true)).toEqual({
    task: given,
    warnings: [
      'the labels are not used: task.kind "clasification" has no metric here ' +
        '(classification, ctc, language have)',
    ],
  });
  expect(assumeTask(given, model(1, 10), false).warnings).toEqual([]);
});
