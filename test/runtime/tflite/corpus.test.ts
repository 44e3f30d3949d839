import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { readPackage } from '../../../agent/calibration/package.ts';
import { openSamples } from '../../../agent/calibration/samples/open.ts';
import { STATUS } from '../../../agent/runtime/tflite/api.ts';
import { openTflite } from '../../../agent/runtime/tflite/library.ts';
import { tfliteRuntime } from '../../../agent/runtime/tflite/tflite.ts';
import { createXnnpack } from '../../../agent/runtime/tflite/xnnpack.ts';
import type { OpenOptions, Session, Tensor } from '../../../agent/runtime/types.ts';
import { type Worker, startWorker } from '../../../agent/runtime/worker.ts';
import { describeIf, sharedDir } from '../../support/available.ts';
import { zeroFeeds } from '../../support/feeds.ts';

const OPTIONS: OpenOptions = { threads: 1, optimization: 'all', arena: true };
const corpus = (...parts: readonly string[]) => sharedDir('corpus', ...parts);
const LIMIT_MS = 60_000;

/** Names of the packages whose model is a .tflite file; a placeholder without a corpus. */
function packages(): readonly string[] {
  try {
    const files = readdirSync(corpus('packages')).filter((file) => file.endsWith('-tflite.json'));
    return files.map((file) => file.slice(0, -'.json'.length));
  } catch {
    return ['(no corpus)'];
  }
}

async function openPackage(name: string, options = OPTIONS) {
  const pack = await readPackage(corpus('packages', `${name}.json`));
  const session = await tfliteRuntime.open(pack.modelPath, options);
  const { path = '', from, to } = pack.evaluation ?? {};
  const range = { from, to };
  const samples = await openSamples({ path }, pack.inputs, session.describe(), range);
  return { session, samples, output: pack.task?.output ?? '' };
}

/** Share of samples whose largest output is the label. */
async function topOne(name: string): Promise<{ readonly share: number; readonly count: number }> {
  const { session, samples, output } = await openPackage(name);
  let [right, count] = [0, 0];
  for await (const { feeds, label } of samples) {
    const { data } = (await session.run(feeds))[output]!;
    const values = Array.from(data, Number);
    right += values.indexOf(Math.max(...values)) === label ? 1 : 0;
    count += 1;
  }
  await session.close();
  return { share: right / count, count };
}

async function firstOutputs(session: Session, samples: Awaited<ReturnType<typeof openSamples>>) {
  for await (const { feeds } of samples) return session.run(feeds);
  throw new Error('no sample');
}

function cosine(a: Tensor, b: Tensor): number {
  const dot = (x: Tensor, y: Tensor) =>
    Array.from(x.data, Number).reduce((sum, value, at) => sum + value * Number(y.data[at]), 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

describeIf('shared')('real models', () => {
  test.each(packages())(
    '%s: XNNPACK and TFLite itself agree on a real sample',
    async (name) => {
      const fast = await openPackage(name);
      const plain = await openPackage(name, { ...OPTIONS, optimization: 'disabled' });
      const [a, b] = [
        await firstOutputs(fast.session, fast.samples),
        await firstOutputs(plain.session, plain.samples),
      ];
      expect(Object.keys(a)).toEqual(fast.session.describe().outputs.map((one) => one.name));
      expect(Object.keys(a)).toContain(fast.output);
      for (const [output, tensor] of Object.entries(a)) {
        expect(tensor.shape).toEqual(b[output]!.shape);
        expect({ output, cosine: cosine(tensor, b[output]!) }).toEqual({
          output,
          cosine: expect.closeTo(1, 4),
        });
      }
      await fast.session.close();
      await plain.session.close();
    },
    LIMIT_MS,
  );

  // The figures are those of the corpus, measured with another program.
  test('an LSTM forgets the sample before: 0.977, where it would be 0.922', async () => {
    expect(await topOne('mnist-lstm-tflite')).toEqual({
      share: expect.closeTo(0.977, 3),
      count: 1000,
    });
  });

  test('a small classifier is right as often as published', async () => {
    const { share } = await topOne('keypoint-classifier-tflite');
    expect(share).toBeCloseTo(0.9642, 3);
  });

  test('outputs declared as [1,1,2] have their real shape', async () => {
    const { session, samples, output } = await openPackage('ultraface-slim-320-tflite');
    expect((await firstOutputs(session, samples))[output]!.shape).toEqual([1, 4420, 2]);
    await session.close();
  });

  test('the flags of XNNPACK make INT8 at least three times faster', async () => {
    const { api, messages } = await openTflite();
    const model = api.modelCreateFromFile(corpus('models/mlptiny_kws_int8.tflite'))!;
    const made = [0, 3].map((flags) => {
      const options = api.optionsCreate();
      api.optionsSetErrorReporter(options, messages.reporter, messages.user);
      const interpreter = api.interpreterCreate(model, options)!;
      api.optionsDelete(options);
      const delegate = createXnnpack(api.xnnpack!, 1, flags)!;
      expect(api.modifyGraphWithDelegate(interpreter, delegate)).toBe(STATUS.ok);
      expect(api.allocateTensors(interpreter)).toBe(STATUS.ok);
      return { interpreter, delegate, times: [] as number[] };
    });
    // In turns, so that whatever else happens here slows both.
    for (let turn = 0; turn < 100; turn += 1) {
      for (const { interpreter, times } of made) {
        const before = performance.now();
        api.invoke(interpreter);
        times.push(performance.now() - before);
      }
    }
    const [without = 0, withFlags = 0] = made.map(
      ({ times }) => times.toSorted((a, b) => a - b)[50],
    );
    for (const { interpreter, delegate } of made) {
      api.interpreterDelete(interpreter);
      api.xnnpack!.delete(delegate);
    }
    api.modelDelete(model);
    expect(without / withFlags).toBeGreaterThan(3);
  });

  test('a model for which XNNPACK lacks a kernel runs without, and says so', async () => {
    const path = corpus('models/others/coral_mobilenet_v1_025_128_quant.tflite');
    const session = await tfliteRuntime.open(path, OPTIONS);
    expect(session.describe().notes).toEqual([
      "XNNPACK cannot run this model as it is (it refuses CONV_2D node 0, it refuses CONV_2D node 28): some or all of it runs on TFLite's own kernels, which are slower",
    ]);
    const { outputs } = session.describe();
    const results = await session.run(await zeroFeeds(tfliteRuntime, path));
    expect(results[outputs[0]!.name]!.shape).toEqual([1, 1001]);
    await session.close();
  });

  test.each([
    ['others/wiki40b_lm_en', "op SentencepieceOp is TensorFlow's own (Flex), which TFLite lacks"],
    ['others/split_concat_edgetpu', 'it is compiled for the Edge TPU: needs an Edge TPU and'],
    ['others/person_detect_vela_ethosu', "custom op 'ethos-u' is unknown to TFLite"],
    ['others/person_detect_int8', 'the scales of a tensor do not fit its shape'],
    ['aeq/simple_composite', 'op STABLEHLO_COMPOSITE version 1 needs TFLite 2.17 or later'],
  ])('%s is refused with the reason', async (name, reason) => {
    await expect(tfliteRuntime.open(corpus('models', `${name}.tflite`), OPTIONS)).rejects.toThrow(
      reason,
    );
  });
});

describeIf('shared')('in a child process', () => {
  let worker: Worker;
  afterEach(() => worker.close());

  // The small model is for the threads: large ones wait long for a second core that others use.
  test.each([
    ['mobilenet_v1_025_224_fp32', 'all', 1],
    ['mobilenet_v1_025_224_fp32', 'disabled', 1],
    ['keypoint_classifier', 'all', 2],
  ] as const)(
    'opening and closing %s (%s, threads: %i) 200 times leaves nothing behind',
    async (model, optimization, threads) => {
      const module = join(import.meta.dirname, '../../fixtures/workers/open-close.mjs');
      worker = await startWorker(module, { name: 'open and close' });
      const path = corpus(`models/${model}.tflite`);
      const options = { ...OPTIONS, optimization, threads };
      const feeds = await zeroFeeds(tfliteRuntime, path);
      const request = { path, options, feeds, rounds: 5, perRound: 50 };
      const sizes = (await worker.call('openAndClose', request, {
        timeoutMs: LIMIT_MS,
      })) as number[];
      // A leak grows in every round, an allocator in some. The large model takes 8 MB while it is
      // open: a leak of a four-hundredth of it would be seen.
      const grown = sizes.slice(1).map((size, i) => size - sizes[i]!);
      expect(Math.min(...grown)).toBeLessThan(1024 * 1024);
    },
    LIMIT_MS,
  );
});
