import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { needsOf } from '../../../agent/calibration/observers/statistics.ts';
import { calibrate } from '../../../agent/fit/calibrate/calibrate.ts';
import { inChild } from '../../../agent/fit/children.ts';
import { makeScratch } from '../../../agent/fit/scratch.ts';
import type { Scratch } from '../../../agent/fit/scratch.ts';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import { floatTensor } from '../../../agent/model/onnx/tensor.ts';
import type { ObserverName } from '../../../agent/model/statistics.ts';
import { tinyModel } from '../../support/onnx-models.ts';

const MB = 2 ** 20;
const SIZE = 64;
const LAYERS = 18;
/** What a run may take more than another by chance: the garbage collector has its own clock. */
const SLACK = 8 * MB;
/** Code, libraries and the agent itself: at least as much of the process tree in every run. */
const ELSEWHERE = 70 * MB;

/** Layers of 192 KiB: more than leaves the runtime in one run, were they all to leave it. */
const SHAPE = [1, 12, SIZE, SIZE];
const INPUT_VALUES = 3 * SIZE * SIZE;

const model = tinyModel({
  inputs: { x: [1, [1, 3, SIZE, SIZE]] },
  outputs: { [`t${LAYERS}`]: [1, SHAPE] },
  initializers: [floatTensor('step', 0.01)],
  nodes: [
    makeNode('Concat', ['x', 'x', 'x', 'x'], ['t0'], { attributes: { axis: 1n } }),
    ...Array.from({ length: LAYERS }, (_, i) => makeNode('Add', [`t${i}`, 'step'], [`t${i + 1}`])),
  ],
});

let folder: string;
let scratch: Scratch;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgefit-memory-'));
  scratch = await makeScratch();
  await Promise.all([100, 1000].map((count) => writeFile(samplesPath(count), npy(count))));
});
afterAll(async () => {
  await scratch.remove();
  await rm(folder, { recursive: true });
});

const samplesPath = (count: number) => join(folder, `${count}.npy`);

/** float32 in the .npy format, version 1.0: the same noise in every sample. */
function npy(count: number): Uint8Array {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${count}, 3, ${SIZE}, ${SIZE}), }`;
  const header = text.padEnd(117).concat('\n');
  const start = Buffer.from('\x93NUMPY\x01\x00\0\0', 'latin1');
  start.writeUInt16LE(header.length, 8);
  const sample = Float32Array.from({ length: INPUT_VALUES }, (_, i) => Math.sin(i * i));
  const bytes = Buffer.from(sample.buffer);
  return Buffer.concat([start, Buffer.from(header), ...Array.from({ length: count }, () => bytes)]);
}

/** Memory that is the process's own, at its peak while something runs. */
async function watched(pid: number, work: Promise<unknown>): Promise<number> {
  let peak = 0;
  const look = () => {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    peak = Math.max(peak, 1024 * Number(/^Anonymous:\s+(\d+)/m.exec(text)?.[1]));
  };
  const timer = setInterval(look, 5);
  try {
    await work;
    look();
  } finally {
    clearInterval(timer);
  }
  return peak;
}

/** The peak of a child that calibrates, in bytes. */
function peakOf(count: number, observer: ObserverName): Promise<number> {
  const hooks = { signal: new AbortController().signal, progress: () => undefined };
  const tensors = Array.from({ length: LAYERS + 1 }, (_, i) => `t${i}`);
  const job = { origin: { path: samplesPath(count) }, inputs: {}, image: {} };
  const needs = needsOf(observer, true);
  const common = { model, tensors, needs, job, count, threads: 2, scratch, hooks };
  return inChild({
    name: 'calibration',
    signal: hooks.signal,
    scratch,
    use: (worker) => {
      expect(worker.pid).toBeGreaterThan(0);
      return watched(worker.pid, calibrate({ ...common, worker }));
    },
  });
}

// What the kernel counts depends on what else runs; a disturbed look is taken again.
jest.retryTimes(2);

(existsSync('/proc/self/smaps_rollup') ? describe : describe.skip)('memory of calibration', () => {
  test.each<ObserverName>(['min-max', 'percentile'])(
    '%s takes as much for 1,000 samples as for 100',
    async (observer) => {
      const few = await peakOf(100, observer);
      const many = await peakOf(1000, observer);
      expect(few).toBeGreaterThan(10 * MB);
      expect(many).toBeLessThan(few * 1.1 + SLACK);
    },
    120_000,
  );

  test.each<ObserverName>(['percentile', 'entropy', 'mse'])(
    '%s takes hardly more than min-max',
    async (observer) => {
      const least = await peakOf(100, 'min-max');
      expect(await peakOf(100, observer)).toBeLessThan(
        (least + ELSEWHERE) * 1.2 - ELSEWHERE + SLACK,
      );
    },
    120_000,
  );
});
