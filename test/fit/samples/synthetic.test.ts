import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import {
  assumedSizes,
  guessesFor,
  mayMissGuess,
  syntheticFeeds,
} from '../../../agent/fit/samples/synthetic.ts';
import { modelHandlers } from '../../../agent/fit/worker/models.ts';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import { DataType } from '../../../agent/model/onnx/tensor.ts';
import type { TensorDescription, TensorType } from '../../../agent/runtime/types.ts';
import { tinyBytes } from '../../support/onnx-models.ts';

type Shape = TensorDescription['shape'];
type Input = readonly [dtype: TensorType, shape: Shape];

function described(inputs: Readonly<Record<string, Input>>) {
  const all = Object.entries(inputs).map(([name, [dtype, shape]]) => ({ name, dtype, shape }));
  return { inputs: all, outputs: [] };
}

describe('open dimensions', () => {
  test.each<[string, TensorType, Shape, readonly number[]]>([
    ['a batch', 'float32', ['batch', 10], [1, 10]],
    ['a batch without a name', 'float32', [null, 3, 32, 32], [1, 3, 32, 32]],
    ['a batch of -1', 'float32', [-1, 4], [1, 4]],
    ['an image, channels first', 'float32', ['n', 3, 'h', 'w'], [1, 3, 224, 224]],
    ['an image, channels last', 'float16', [1, null, null, 3], [1, 224, 224, 3]],
    ['an image of any kind', 'float32', [null, null, null, null], [1, 3, 224, 224]],
    ['tokens', 'int64', ['batch', 'steps'], [1, 128]],
    ['frames', 'float32', ['batch', 'steps', 80], [1, 128, 80]],
    ['four axes of integers', 'int64', [1, 'a', 1, 1], [1, 1, 1, 1]],
    ['a vector', 'float32', ['n'], [1]],
    ['a scalar', 'float32', [], []],
    ['an empty state', 'float32', [0, 8], [0, 8]],
  ])('%s', (_, dtype, shape, expected) => {
    const { x } = syntheticFeeds(described({ x: [dtype, shape] }));
    expect(x?.shape).toEqual(expected);
    expect(x?.data).toHaveLength(expected.reduce((a, b) => a * b, 1));
  });

  test('of one name are of one size, and tokens say which', () => {
    const feeds = syntheticFeeds(
      described({
        mask: ['float32', ['batch', 1, 'steps', 'steps']],
        ids: ['int64', ['batch', 'steps']],
      }),
    );
    expect(feeds['mask']?.shape).toEqual([1, 1, 128, 128]);
    expect(feeds['ids']?.shape).toEqual([1, 128]);
  });
});

test('what was assumed is said, but for the batch', () => {
  const description = described({
    x: ['float32', ['batch', 3, 'h', null]],
    plain: ['float32', ['batch', 8]],
  });
  expect(assumedSizes(description)).toEqual([
    "input 'x' is declared as [batch,3,h,?] and was timed as [1,3,224,224]: give --samples to time it as it is used",
  ]);
});

test('values are the same every time, and floats are not all alike', () => {
  const description = described({ x: ['float32', [1, 64]], i: ['int64', [2]] });
  const { x, i } = syntheticFeeds(description);
  expect(syntheticFeeds(description)).toEqual({ x, i });
  const values = Array.from(x?.data as Float32Array);
  expect(new Set(values).size).toBeGreaterThan(60);
  expect(values.every((value) => value >= -1 && value < 1)).toBe(true);
  expect(i?.data).toEqual(new BigInt64Array(2));
});

test('text cannot be made up', () => {
  expect(() => syntheticFeeds(described({ x: ['string', [1]] }))).toThrow("input 'x' is of type");
});

describe('guesses', () => {
  const waveAndState = described({
    input: ['float32', [null, null]],
    state: ['float32', [2, null, 128]],
    sr: ['int64', []],
  });

  test('the usual one comes first; with and without the batch in the middle of states', () => {
    const shapes = guessesFor(waveAndState).map((guess) => {
      const { input, state } = syntheticFeeds(waveAndState, guess);
      return [input?.shape, state?.shape];
    });
    expect(shapes.slice(0, 4)).toEqual([
      [
        [1, 128],
        [2, 128, 128],
      ],
      [
        [1, 128],
        [2, 1, 128],
      ],
      [
        [1, 512],
        [2, 512, 128],
      ],
      [
        [1, 512],
        [2, 1, 128],
      ],
    ]);
    expect(shapes).toContainEqual([
      [1, 16_000],
      [2, 1, 128],
    ]);
  });

  test('only waves become thousands of steps long', () => {
    const model = described({ ids: ['int64', ['n', 't']], frames: ['float32', ['n', 'u', 80]] });
    const all = guessesFor(model).map((guess) => syntheticFeeds(model, guess));
    const steps = all.flatMap(({ ids, frames }) => [ids?.shape[1] ?? 0, frames?.shape[1] ?? 0]);
    expect(Math.max(...steps)).toBe(512);
  });

  test('there is one where nothing is open, and it may miss only what whole numbers mean', () => {
    const closed = described({ x: ['float32', ['n', 3, 8, 8]] });
    expect(guessesFor(closed)).toHaveLength(1);
    expect(mayMissGuess(closed)).toBe(false);
    expect(mayMissGuess(described({ ids: ['int64', [1, 8]] }))).toBe(true);
    expect(mayMissGuess(waveAndState)).toBe(true);
  });

  test('masks let all through, lengths are those of the sequence, rates those of speech', () => {
    const model = described({
      input_ids: ['int64', ['n', 't']],
      attention_mask: ['int64', ['n', 't']],
      x_length: ['int32', [1]],
      sr: ['int64', []],
      keep_mask: ['bool', [1]],
    });
    const first = (name: string) => Number(syntheticFeeds(model)[name]?.data[0]);
    expect(first('input_ids')).toBe(0);
    expect(first('attention_mask')).toBe(1);
    expect(first('x_length')).toBe(128);
    expect(first('sr')).toBe(16_000);
    expect(first('keep_mask')).toBe(1);
  });
});

test('no guess runs a model that takes text, and that is no failure', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgefit-synthetic-'));
  try {
    const path = join(folder, 'text.onnx');
    const { STRING } = DataType;
    const model = tinyBytes({
      inputs: { text: [STRING, ['n', 'words']] },
      outputs: { same: [STRING, ['n', 'words']] },
      nodes: [makeNode('Identity', ['text'], ['same'])],
    });
    await writeFile(path, model);
    const description = await modelHandlers.describe({ path });
    expect(mayMissGuess(description)).toBe(true);
    expect(await modelHandlers.guessSizes({ path, description })).toBeNull();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
