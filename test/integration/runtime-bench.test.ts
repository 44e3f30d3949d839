import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, jest } from '@jest/globals';
import { measureCoverage } from '../../agent/bench/coverage.ts';
import { measureRound } from '../../agent/bench/latency.ts';
import { median } from '../../agent/bench/statistics.ts';
import { warmUp } from '../../agent/bench/warmup.ts';
import { onnxRuntime } from '../../agent/runtime/onnxruntime.ts';
import { zeroFeeds } from '../support/feeds.ts';

// Real models lie beside the repository on development machines; elsewhere these tests are skipped.
const shared = resolve(import.meta.dirname, '../../../shared');
const models = join(shared, 'corpus/models');
const peers = join(shared, 'peer/best');
const maybe = existsSync(models) && existsSync(peers) ? describe : describe.skip;

const mobilenet = join(models, 'mobilenet_v1_025_224_from_tflite.onnx');

/** MobileNet v1, width 0.25, 224 pixels: size of the output, channels in, channels out. */
const SEPARABLE = [
  [112, 8, 16],
  [56, 16, 32],
  [56, 32, 32],
  [28, 32, 64],
  [28, 64, 64],
  [14, 64, 128],
  ...Array.from({ length: 5 }, () => [14, 128, 128]),
  [7, 128, 256],
  [7, 256, 256],
];
const FIRST = 112 * 112 * 8 * 3 * 9;
const CLASSIFIER = 256 * 1001;
const MOBILENET_MACS = SEPARABLE.reduce(
  (sum, [size = 0, input = 0, output = 0]) => sum + size * size * input * (9 + output),
  FIRST + CLASSIFIER,
);

// The clock is the machine's, and others may use it: a round that was disturbed is taken again.
jest.retryTimes(3);

maybe('integer coverage of real models', () => {
  const lstms = 4 * 128 * (257 + 128) + 4 * 128 * (128 + 128);
  const dense = 128 * 257;
  const espcn = 128 * 128 * (64 * 3 * 25 + 64 * 64 * 9 + 32 * 64 * 9) + 256 * 256 * (3 * 32 * 9);

  test.each([
    ['mobilenet', mobilenet, MOBILENET_MACS, 0],
    [
      'mobilenet, int8',
      join(models, 'others/mobilenet_v1_025_224_ort_qdq_u8s8.onnx'),
      MOBILENET_MACS,
      1,
    ],
    ['dtln, two LSTMs', join(models, 'dtln_1.onnx'), lstms + dense, 0],
    ['dtln, dynamic int8', join(peers, 'dtln-1.onnx'), lstms + dense, 1],
    ['espcn', join(models, 'espcn_bsd300_nnresize_float.onnx'), espcn, 0],
    ['espcn, int8', join(peers, 'espcn-bsd300.onnx'), espcn, 1],
    ['mnist, only its last layer int8', join(peers, 'mnist-cntk.onnx'), 786_560, 2560 / 786_560],
  ])('%s', async (_, path, macs, coverage) => {
    const feeds = await zeroFeeds(onnxRuntime, path);
    const result = await measureCoverage(onnxRuntime, path, feeds, { threads: 1 });
    expect(result.totalMacs).toBe(macs);
    expect(result.coverage).toBeCloseTo(coverage, 12);
  });
});

/** Our own loop must stay under 2 % of a model of one millisecond. */
const MAX_OWN_MS = 0.02;

maybe('a round on a real model', () => {
  test('our own loop costs next to nothing beside a small model', async () => {
    const feeds = await zeroFeeds(onnxRuntime, mobilenet);
    const session = await onnxRuntime.open(mobilenet, {
      threads: 1,
      optimization: 'all',
      arena: true,
    });
    await warmUp(session, feeds);
    const limits = { minCount: 100, minTimeMs: 100, maxTimeMs: 2000 };
    const own: number[] = [];
    // Wall time also holds what other programs take from us, in one round or another: hence a median.
    for (let round = 0; round < 7; round++) {
      // oxlint-disable-next-line no-await-in-loop -- one round after the other
      const { latenciesMs, ownMs } = await measureRound(session, feeds, limits);
      own.push(ownMs / latenciesMs.length);
    }
    await session.close();
    expect(median(own)).toBeLessThan(MAX_OWN_MS);
  });

  test('threads that spin after a run have stopped when a round returns', async () => {
    const feeds = await zeroFeeds(onnxRuntime, mobilenet);
    const options = { threads: 2, optimization: 'all', arena: true } as const;
    const session = await onnxRuntime.open(mobilenet, options);
    await measureRound(session, feeds, { minCount: 20, minTimeMs: 0, maxTimeMs: 2000 });
    const before = process.cpuUsage();
    await sleep(200);
    const { user, system } = process.cpuUsage(before);
    await session.close();
    expect((user + system) / 1000).toBeLessThan(20);
  });
});
