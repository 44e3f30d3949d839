import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { needsOf, toStatistics } from '../../../agent/calibration/observers/statistics.ts';
import { inChild } from '../../../agent/fit/children.ts';
import { makeScratch } from '../../../agent/fit/scratch.ts';
import type { Scratch } from '../../../agent/fit/scratch.ts';
import { calibrateTflite } from '../../../agent/fit/tflite/calibrate.ts';
import type { ProgressEvent } from '../../../agent/fit/types.ts';
import { tensorsToObserve } from '../../../agent/quantize/tflite/static.ts';
import { npy } from '../../calibration/make-arrays.ts';
import { observe } from '../../quantize/tflite/support.ts';
import { add, constant, tinyTflite, value } from '../../support/tflite-models.ts';

let folder: string;
let scratch: Scratch;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgefit-tflite-'));
  scratch = await makeScratch();
});
afterAll(async () => {
  await scratch.remove();
  await rm(folder, { recursive: true });
});

const SIDE = 1024;
/** Of 12 MB: no two of them leave the model at once. */
const LARGE = [1, SIDE, SIDE, 3];
const ramp = Float32Array.from({ length: SIDE * SIDE }, (_, at) => (at % 997) / 500 - 1);

/** a = x + ramp; b = a + a; c = b + x */
const model = tinyTflite({
  tensors: [
    value('x', [1, 1, 1, 3]),
    constant('ramp', ramp, { shape: [1, SIDE, SIDE, 1] }),
    value('a', LARGE),
    value('b', LARGE),
    value('c', LARGE),
  ],
  inputs: [0],
  outputs: [4],
  operators: [add(0, 1, 2), add(2, 2, 3), add(3, 0, 4)],
});
const SAMPLES = [
  [0.5, -2, 3],
  [-1.25, 0, 1],
];

test('slices of a model show the ranges that it shows in one pass', async () => {
  const names = tensorsToObserve(model);
  expect(names).toEqual(['x', 'a', 'b', 'c']);
  const path = join(folder, 'samples.npy');
  await writeFile(path, npy('<f4', [2, 1, 1, 1, 3], Float32Array.from(SAMPLES.flat())));
  const seen: ProgressEvent[] = [];
  const hooks = {
    signal: new AbortController().signal,
    progress: (event: ProgressEvent) => void seen.push(event),
  };
  const collection = await inChild({
    name: 'calibration',
    signal: hooks.signal,
    scratch,
    use: (worker) =>
      calibrateTflite(model, names, {
        needs: { ...needsOf('min-max', true), channelsLast: true },
        job: { origin: { path }, inputs: { x: { array: {} } }, image: {} },
        count: SAMPLES.length,
        threads: 1,
        worker,
        scratch,
        hooks,
      }),
  });
  const found = toStatistics(collection, 'min-max');
  const feeds = SAMPLES.map((sample) => ({
    x: { dtype: 'float32' as const, shape: [1, 1, 1, 3], data: Float32Array.from(sample) },
  }));
  const whole = await observe(model, feeds);
  expect([...found.tensors.keys()]).toEqual(names);
  for (const name of names) {
    const [a, b] = [found.tensors.get(name), whole.tensors.get(name)];
    expect([a?.min, a?.max]).toEqual([b?.min, b?.max]);
  }
  // x, then each of the three alone: every sample was run four times.
  expect(seen.at(-1)).toMatchObject({ done: 8, total: 8 });
  // Means lie along the last axis, where TFLite has its channels.
  expect(found.tensors.get('x')?.channelMean).toEqual(Float64Array.of(-0.375, -1, 2));
}, 60_000);
