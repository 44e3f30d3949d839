import { expect, test } from '@jest/globals';
import { collectChannelRanges, collectShapes } from '../../agent/calibration/channel-ranges.ts';
import type { Feeds, Session, Tensor } from '../../agent/runtime/types.ts';
import { model } from './support.ts';

const float32 = (shape: readonly number[], ...values: number[]): Tensor => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from(values),
});

/** Hands its inputs on, and says how long `x` is. */
function echo(): Session {
  return {
    describe: () => model({ x: ['float32', [1, 'n']] }),
    run: (feeds) => {
      const length = BigInt64Array.of(BigInt(feeds['x']?.data.length ?? 0));
      return Promise.resolve({ ...feeds, n: { dtype: 'int64', shape: [], data: length } });
    },
    close: () => Promise.resolve(),
  };
}

async function* samplesOf(...samples: readonly Feeds[]): AsyncGenerator<Feeds> {
  for (const sample of samples) yield Promise.resolve(sample);
}

test('shapes that change between samples are not reported', async () => {
  const fixed = float32([1, 2], 1, 2);
  const samples = samplesOf(
    { x: float32([1, 2], 1, 2), y: fixed },
    { x: float32([1, 3], 1, 2, 3), y: fixed },
    { x: fixed, y: float32([2], 1, 2) },
  );
  const shapes = await collectShapes(echo(), samples, 2);
  expect([...shapes]).toEqual([
    ['y', [1, 2]],
    ['n', []],
  ]);
});

test('ranges and variances of channels along an axis', async () => {
  const progress: number[] = [];
  const samples = samplesOf(
    { x: float32([1, 2, 2], 1, 3, -5, -5), y: float32([1, 1], NaN) },
    { x: float32([1, 2, 2], 5, 7, -5, -5), y: float32([1, 1], 1) },
    { x: float32([1, 2, 2], 100, 100, 100, 100), y: float32([1, 1], 1) },
  );
  const targets = [
    { name: 'x', axis: 1 },
    { name: 'y', axis: 1 },
    { name: 'n', axis: 0 },
    { name: 'elsewhere', axis: 0 },
  ];
  const onProgress = (done: number) => progress.push(done);
  const ranges = await collectChannelRanges(echo(), samples, { targets, most: 2, onProgress });
  expect(progress).toEqual([1, 2]);
  // 1, 3, 5 and 7 are 3, 1, 1 and 3 from their mean.
  expect([...ranges]).toEqual([
    [
      'x',
      {
        min: Float64Array.of(1, -5),
        max: Float64Array.of(7, -5),
        variance: Float64Array.of(5, 0),
      },
    ],
  ]);
});

test('a tensor whose channels change in number has no ranges', async () => {
  const samples = samplesOf({ x: float32([1, 2], 1, 2) }, { x: float32([1, 3], 1, 2, 3) });
  const targets = [{ name: 'x', axis: 1 }];
  expect((await collectChannelRanges(echo(), samples, { targets, most: 9 })).size).toBe(0);
});
