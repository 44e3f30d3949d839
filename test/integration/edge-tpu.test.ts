import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Facts } from '../../agent/contracts/facts.ts';
import { benchModel } from '../../agent/fit/bench.ts';
import { keepChoice } from '../../agent/fit/keep.ts';
import { quantizeModel } from '../../agent/fit/run.ts';
import type { BenchRequest, Hooks } from '../../agent/fit/types.ts';
import { probe } from '../../agent/hardware/probe.ts';
import { describeIf } from '../support/available.ts';
import {
  buildDelegate,
  identitySamples,
  putCompiler,
  slowIdentity,
  withStick,
} from '../support/edge-tpu.ts';
import { removeSysroots } from '../support/sysroot.ts';

/*
 * A package with a compiled variant, on a device with an Edge TPU and on one without. The chip is a
 * stand-in: a delegate built from C, found as libedgetpu.so.1, that takes edgetpu-custom-op.
 */

const LIMIT_MS = 120_000;
const VARIANTS = [
  {
    path: 'model_int8.tflite',
    precision: 'int8',
    runtime: 'tflite',
  },
  {
    path: 'model_int8_edgetpu.tflite',
    precision: 'int8',
    runtime: 'tflite',
    accelerators: ['edgetpu-usb', 'edgetpu-pcie'],
    ops: { accelerator: 3, cpu: 1 },
  },
];
const hooks: Hooks = { signal: new AbortController().signal, progress: () => undefined };

describeIf('cc')('a package with a variant for the Edge TPU', () => {
  let folder: string;
  const file = (name: string) => join(folder, name);
  const manifest = (changes: object = {}) => ({
    schema: 'edgefit/model/1',
    name: 'identity',
    model: 'model.tflite',
    samples: {
      calibration: { path: 'samples.npy', from: 0, to: 4 },
      evaluation: { path: 'samples.npy', from: 4, to: 8 },
    },
    variants: VARIANTS,
    ...changes,
  });
  const request = (modelPath: string, facts: Facts): BenchRequest => ({
    modelPath,
    plan: { asIs: false, threads: [1], precisions: ['int8-static'] },
    samples: {},
    image: {},
    objective: { optimize: 'latency', maxAccuracyDrop: null, minSqnrDb: null, maxP90Ms: null },
    minTimeSeconds: 0.05,
    coolDownSeconds: null,
    observer: 'min-max',
    facts,
  });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'edgefit-edge-tpu-'));
    buildDelegate(folder);
    process.env['LD_LIBRARY_PATH'] = folder;
    await writeFile(file('model.tflite'), slowIdentity());
    await writeFile(file('samples.npy'), identitySamples(8));
    await writeFile(file('package.json'), JSON.stringify(manifest()));
    await quantizeModel(
      {
        modelPath: file('package.json'),
        scheme: 'int8-only',
        output: file('model_int8.tflite'),
        ranges: [],
        samples: {},
        image: {},
      },
      hooks,
    );
    const compiler = join(putCompiler(folder), 'edgetpu_compiler');
    const args = ['-s', '-o', folder, file('model_int8.tflite')];
    const env = { ...process.env, STAND_IN_LEAVES: '1' };
    const made = spawnSync(compiler, args, { encoding: 'utf8', timeout: LIMIT_MS, env });
    expect(made).toMatchObject({ status: 0, stderr: '' });
  }, LIMIT_MS);
  afterAll(async () => {
    delete process.env['LD_LIBRARY_PATH'];
    delete process.env['EDGETPU_LOG'];
    removeSysroots();
    await rm(folder, { recursive: true });
  });

  test(
    'with a stick: measured through libedgetpu, chosen and kept, with what it runs there',
    async () => {
      process.env['EDGETPU_LOG'] = file('runs.txt');
      const run = await benchModel(request(file('package.json'), await withStick(480)), hooks);
      const { candidates, chosen, warnings } = run.report;
      expect(candidates.map(({ id }) => id)).toEqual([
        'tflite/fp32/t1',
        'tflite/int8-edgetpu/t1',
        'tflite/int8-prebuilt/t1',
        'tflite/int8-static/t1',
      ]);
      const [, tpu, cpu] = candidates;
      expect(tpu?.variant).toEqual({
        path: 'model_int8_edgetpu.tflite',
        accelerator: {
          kind: 'edgetpu-usb',
          device: 'usb 2-1 18d1:9302, 480 Mb/s (USB 2: transfers dominate)',
        },
        delegate: 'libedgetpu.so.1',
        ops: { accelerator: 3, cpu: 1 },
      });
      expect(tpu?.why).toContain(
        '3 of 4 operators on the Edge TPU, 1 left for the CPU (1 RESHAPE)',
      );
      expect(tpu?.why).toContain('480 Mb/s (USB 2: transfers dominate)');
      expect(warnings).toContainEqual(expect.stringContaining('on a USB 2 link (480 Mb/s)'));
      expect(tpu?.fidelity?.sqnrDb).toBeGreaterThan(20);
      expect(cpu?.variant).toEqual({ path: 'model_int8.tflite' });
      expect(chosen).toBe('tflite/int8-edgetpu/t1');
      // It ran: at least the four evaluation samples, and more for timing.
      expect(readFileSync(file('runs.txt'), 'utf8').split('\n').length).toBeGreaterThan(5);

      const kept = await keepChoice(run, file('kept'));
      expect(kept.chosen).toMatchObject({
        file: 'identity.int8-edgetpu.tflite',
        variant: { delegate: 'libedgetpu.so.1' },
      });
      expect(readFileSync(file('kept/identity.int8-edgetpu.tflite'))).toEqual(
        readFileSync(file('model_int8_edgetpu.tflite')),
      );
      await run.cleanup();
    },
    LIMIT_MS,
  );

  test(
    'without one: not tried, with the reason, and the file for the CPU stands in',
    async () => {
      const run = await benchModel(request(file('package.json'), await probe()), hooks);
      const { candidates, notTried } = run.report;
      expect(candidates.map(({ id }) => id)).toEqual([
        'tflite/fp32/t1',
        'tflite/int8-prebuilt/t1',
        'tflite/int8-static/t1',
      ]);
      expect(notTried).toContainEqual({
        precision: 'int8 model_int8_edgetpu.tflite',
        why: 'it is compiled for the Edge TPU: none was found on this device',
      });
      await run.cleanup();
    },
    LIMIT_MS,
  );

  test(
    'a chip that goes away fails its row alone',
    async () => {
      process.env['EDGETPU_MISSING'] = '1';
      const run = await benchModel(request(file('package.json'), await withStick(5000)), hooks);
      delete process.env['EDGETPU_MISSING'];
      const { candidates, chosen, warnings } = run.report;
      expect(candidates[1]).toMatchObject({
        id: 'tflite/int8-edgetpu/t1',
        verdict: 'failed',
        reason: expect.stringContaining('Failed to load delegate from libedgetpu.so.1'),
      });
      expect(chosen).not.toBe('tflite/int8-edgetpu/t1');
      expect(warnings.join()).not.toContain('USB 2');
      await run.cleanup();
    },
    LIMIT_MS,
  );

  test(
    'variants keep the gates of the package, and must be what the manifest says',
    async () => {
      await writeFile(
        file('strict.json'),
        JSON.stringify(
          manifest({
            gates: { minSqnrDb: 199, maxP90Ms: 1e6, maxAccuracyDrop: 1 },
            variants: [VARIANTS[0], { ...VARIANTS[0], sha256: '0'.repeat(64) }],
          }),
        ),
      );
      const run = await benchModel(request(file('strict.json'), await probe()), hooks);
      const { candidates, notTried, objective, warnings } = run.report;
      expect(candidates[1]).toMatchObject({
        id: 'tflite/int8-prebuilt/t1',
        verdict: 'rejected',
        reason: expect.stringContaining('under the floor of 199.0 dB'),
      });
      expect(objective).toMatchObject({ minSqnrDb: 199, gates: ['minSqnrDb', 'maxP90Ms'] });
      expect(warnings).toContainEqual(expect.stringContaining('gate maxAccuracyDrop'));
      expect(notTried).toContainEqual({
        precision: 'int8 model_int8.tflite',
        why: expect.stringContaining('its sha256 differs'),
      });
      await run.cleanup();
    },
    LIMIT_MS,
  );

  test(
    'a compiled file as the model needs no --delegate, and no chip is one clear line',
    async () => {
      const path = file('model_int8_edgetpu.tflite');
      const run = await benchModel(request(path, await withStick(5000)), hooks);
      expect(run.report.candidates).toMatchObject([{ id: 'tflite/int8/t1', verdict: 'chosen' }]);
      expect(run.report.candidates[0]?.why).toContain('with the delegate libedgetpu.so.1');
      await run.cleanup();
      await expect(benchModel(request(path, await probe()), hooks)).rejects.toMatchObject({
        code: 'no-accelerator',
        message: `${path} is compiled for the Edge TPU, and none was found on this device: give the file that it was compiled from, or name a delegate with --delegate`,
      });
    },
    LIMIT_MS,
  );
});
