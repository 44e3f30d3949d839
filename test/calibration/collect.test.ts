import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { collect, feedsOf } from '../../agent/calibration/collect.ts';
import { needsOf, toStatistics } from '../../agent/calibration/observers/statistics.ts';
import { readPackage } from '../../agent/calibration/package.ts';
import { openSamples } from '../../agent/calibration/samples/open.ts';
import type { Feeds, Session, Tensor } from '../../agent/runtime/types.ts';
import { describeModel } from './model-inputs.ts';
import { model } from './support.ts';

const float32 = (...values: number[]): Tensor => ({
  dtype: 'float32',
  shape: [values.length],
  data: Float32Array.from(values),
});

/** A model in plain arithmetic: y = 2 x, h = x as float16 bits of 1, n = how often it ran. */
function doubling(): Session {
  let runs = 0n;
  return {
    describe: () => model({ x: ['float32', ['n']] }),
    run(feeds) {
      runs += 1n;
      const values = Array.from(feeds['x']?.data ?? [], Number);
      return Promise.resolve({
        y: float32(...values.map((value) => 2 * value)),
        h: { dtype: 'float16', shape: [1], data: Uint16Array.of(0x3c00) },
        n: { dtype: 'int64', shape: [], data: BigInt64Array.of(runs) },
      });
    },
    close: () => Promise.resolve(),
  };
}

async function* samplesOf(...samples: readonly (readonly number[])[]): AsyncGenerator<Feeds> {
  for (const sample of samples) yield Promise.resolve({ x: float32(...sample) });
}

async function* labelled(...samples: readonly (readonly number[])[]) {
  for await (const feeds of samplesOf(...samples)) yield { feeds, label: 1 };
}

test('observes inputs and outputs, floats only', async () => {
  const progress: number[] = [];
  const collection = await collect(doubling(), samplesOf([1, -2], [3]), {
    tensors: ['x', 'y', 'h', 'n', 'elsewhere'],
    needs: needsOf('min-max'),
    onProgress: (done) => progress.push(done),
  });
  expect(progress).toEqual([1, 2]);
  const { samples, tensors } = toStatistics(collection, 'min-max');
  expect(samples).toBe(2);
  expect([...tensors].map(([name, { min, max, dtype }]) => [name, min, max, dtype])).toEqual([
    ['x', -2, 3, 'float32'],
    ['y', -4, 6, 'float32'],
    ['h', 1, 1, 'float16'],
  ]);
});

test('lets an observer choose the ranges', async () => {
  const done: number[] = [];
  const collection = await collect(doubling(), feedsOf(labelled([1, -2], [3, 4])), {
    tensors: ['y'],
    needs: needsOf('percentile', true),
    onProgress: (n) => done.push(n),
  });
  const { observer, tensors } = toStatistics(collection, 'percentile', { percentile: 100 });
  expect([observer, done]).toEqual(['percentile', [1, 2]]);
  expect(tensors.get('y')).toEqual({
    dtype: 'float32',
    shape: [2],
    min: -4,
    max: 8,
    seenMin: -4,
    seenMax: 8,
    channelMean: Float64Array.of(4, 2),
  });
});

test('stops when told to, and closes the samples', async () => {
  const control = new AbortController();
  let closed = false;
  async function* endless(): AsyncGenerator<Feeds> {
    try {
      for (;;) yield await Promise.resolve({ x: float32(1) });
    } finally {
      closed = true;
    }
  }
  const collecting = collect(doubling(), endless(), {
    tensors: ['y'],
    needs: needsOf('min-max'),
    onProgress: (done) => done === 3 && control.abort(),
    signal: control.signal,
  });
  await expect(collecting).rejects.toMatchObject({ name: 'AbortError' });
  expect(closed).toBe(true);
});

// Real models live beside the repository and are not part of it.
const manifest = resolve(import.meta.dirname, '../../../shared/corpus/packages/mnist-cntk.json');

(existsSync(manifest) ? test : test.skip)('observes a real model (../shared/corpus)', realModel);

async function realModel(): Promise<void> {
  const pack = await readPackage(manifest);
  const path = pack.calibration?.path ?? '';
  const description = await describeModel(pack.modelPath);
  const samples = await openSamples({ path }, pack.inputs, description, { to: 20 });
  const native = await InferenceSession.create(pack.modelPath, { logSeverityLevel: 4 });
  const session: Session = {
    describe: () => description,
    async run(feeds) {
      const { data, shape } = feeds['Input3']!;
      const input = new OrtTensor('float32', data as Float32Array, shape);
      const output = (await native.run({ Input3: input }))['Plus214_Output_0']!;
      return { out: { dtype: 'float32', shape: output.dims, data: output.data } };
    },
    close: () => native.release(),
  };
  const tensors = ['Input3', 'out'];
  const collection = await collect(session, feedsOf(samples), { tensors, needs: needsOf('mse') });
  await session.close();
  const statistics = toStatistics(collection, 'mse');
  // Pixels of handwritten digits reach from black to white.
  expect(statistics.tensors.get('Input3')).toMatchObject({ seenMin: 0, seenMax: 255, min: 0 });
  const out = statistics.tensors.get('out')!;
  expect(out.shape).toEqual([1, 10]);
  expect(out.seenMin).toBeLessThan(0);
  expect(out.max).toBeLessThanOrEqual(out.seenMax);
}
