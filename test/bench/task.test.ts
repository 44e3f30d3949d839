import { describe, expect, test } from '@jest/globals';
import { type Label, TaskMeter } from '../../agent/bench/task.ts';
import type { TaskSpec } from '../../agent/contracts/manifest.ts';
import type { Feeds, Tensor } from '../../agent/runtime/types.ts';

function tensor(shape: readonly number[], values: readonly number[]): Tensor {
  return { dtype: 'float32', shape, data: Float32Array.from(values) };
}

function measure(
  task: Partial<TaskSpec> & { kind: string },
  rows: readonly { output: Tensor; label?: Label; feeds?: Feeds }[],
) {
  const meter = new TaskMeter({ labelOffset: 0, ...task });
  for (const { output, label, feeds } of rows) meter.add(feeds ?? {}, { first: output }, label);
  return meter.result();
}

describe('classification', () => {
  const two = tensor([1, 3], [0, 1, 9]);
  const tie = tensor([1, 3], [5, 5, 1]);

  test('counts arg max = label; the first of equals wins', () => {
    const rows = [
      { output: two, label: 2 },
      { output: two, label: 1 },
      { output: tie, label: 0 },
      { output: tie, label: 1 },
    ];
    expect(measure({ kind: 'classification' }, rows)).toEqual({
      metric: 'top1',
      value: 0.5,
      samples: 4,
    });
  });

  test('subtracts the offset of the labels, over the flattened output', () => {
    const output = tensor([1, 2, 2], [0, 0, 0, 1]);
    const task = { kind: 'classification', labelOffset: 1 };
    expect(measure(task, [{ output, label: 2 }])?.value).toBe(1);
  });

  test('of a fixed batch takes the first row, whichever is on top', () => {
    const output = tensor([2, 3], [0, 1, 8, 0, 1, 9]);
    const feeds = { image: tensor([2, 1], [7, 7]) };
    expect(measure({ kind: 'classification' }, [{ output, label: 2, feeds }])?.value).toBe(1);
  });

  test('leaves out samples without a label, and says nothing when none has one', () => {
    const task = { kind: 'classification' };
    const none = [{ output: two, label: -1 }, { output: two }];
    expect(measure(task, [...none, { output: two, label: 2 }])?.value).toBe(1);
    expect(measure(task, none)).toBeNull();
  });

  test('takes the named output, else the first', () => {
    const meter = new TaskMeter({ kind: 'classification', labelOffset: 0, output: 'b' });
    meter.add({}, { a: tensor([2], [1, 0]), b: tensor([2], [0, 1]) }, 1);
    meter.add({}, { a: tensor([2], [1, 0]) }, 0);
    expect(meter.result()?.value).toBe(1);
  });
});

/** [1, 3 classes, steps] with the given class on top at each step. */
function path(...classes: number[]): Tensor {
  const values = [0, 1, 2].flatMap((c) => classes.map((top) => Number(c === top)));
  return tensor([1, 3, classes.length], values);
}

describe('ctc', () => {
  const task = { kind: 'ctc', blank: 2 };
  test.each<[number[], Label, number]>([
    [[0, 0, 1], [0, 1], 1],
    [[0, 2, 0], [0, 0, -1, -1], 1],
    [[2, 1, 2], 1, 1],
    [[0, 1, 1], [0], 0],
    [[2, 2, 2], [0], 0],
  ])('decodes %j against %j', (classes, label, value) => {
    const metric = 'exactSequence';
    expect(measure(task, [{ output: path(...classes), label }])).toEqual({
      metric,
      value,
      samples: 1,
    });
  });

  test('needs a blank and three axes; a row of -1 is no label', () => {
    expect(() => measure({ kind: 'ctc' }, [{ output: path(0), label: [0] }])).toThrow('task.blank');
    expect(() => measure(task, [{ output: tensor([3], [0, 0, 1]), label: [0] }])).toThrow(
      'has shape [3], expected 3 axes',
    );
    expect(measure(task, [{ output: path(0), label: [-1, -1] }])).toBeNull();
  });
});

test('language: the logits of a step against the next token', () => {
  const ids: Tensor = { dtype: 'int64', shape: [1, 3], data: new BigInt64Array([0n, 1n, 1n]) };
  // Step 0 says 1 (right), step 1 says 0 (the next is 1), step 2 has no next.
  const output = tensor([1, 3, 2], [0, 1, 1, 0, 1, 0]);
  const length: Tensor = { dtype: 'int64', shape: [1], data: new BigInt64Array([3n]) };
  expect(measure({ kind: 'language' }, [{ output, feeds: { length, ids } }])).toEqual({
    metric: 'nextTokenTop1',
    value: 0.5,
    samples: 2,
  });
  expect(() => measure({ kind: 'language' }, [{ output }])).toThrow('integer input of 3 tokens');
});

function integers(...values: number[]): Tensor {
  return { dtype: 'int64', shape: [1, values.length], data: BigInt64Array.from(values, BigInt) };
}

describe('language: which input holds the tokens', () => {
  // Says 1 after the first token and 0 after the second.
  const output = tensor([1, 3, 2], [0, 1, 1, 0, 1, 0]);
  const [right, mask] = [integers(7, 1, 0), integers(1, 1, 1)];
  test.each<[string, Feeds]>([
    ['the one that varies', { mask, x: right }],
    ['the one called ids', { attention_mask: integers(0, 1, 1), input_ids: right }],
    ['the one called tokens', { positions: integers(0, 1, 2), Tokens: right }],
    [
      'not other ids',
      { token_type_ids: integers(0, 0, 1), position_ids: integers(0, 1, 2), input_ids: right },
    ],
    ['the only one', { x: right }],
  ])('%s', (_, feeds) => {
    expect(measure({ kind: 'language' }, [{ output, feeds }])?.value).toBe(1);
  });

  test('tokens may be all the same', () => {
    const feeds = { attention_mask: integers(1, 1, 0), input_ids: mask };
    expect(measure({ kind: 'language' }, [{ output, feeds }])?.value).toBe(0.5);
  });
});

test.each(['none', 'toString', 'detection'])('a task of kind %s is not measured', (kind) => {
  expect(measure({ kind }, [{ output: tensor([1], [1]), label: 0 }])).toBeNull();
});
