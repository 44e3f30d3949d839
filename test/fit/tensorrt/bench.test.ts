import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from '@jest/globals';
import { benchSchema, type BenchReport } from '../../../agent/contracts/bench.ts';
import { benchModel } from '../../../agent/fit/bench.ts';
import type { BenchRequest } from '../../../agent/fit/types.ts';
import { shippedPath } from '../../../agent/util/paths.ts';
import { armCpuinfo, makeSysroot, meminfo, removeSysroots } from '../../support/sysroot.ts';
import { makeStandIn, type StandIn } from '../../support/trtexec.ts';

/** An AGX Orin: its device tree, TensorRT's library, eight cores. */
const ORIN = makeSysroot({
  '/proc/cpuinfo': armCpuinfo(
    [0, 1, 2, 3].map((number) => {
      return { number, part: '0xd42', features: 'fp asimd fphp asimdhp asimddp' };
    }),
  ),
  '/proc/meminfo': meminfo({ total: 31_000_000, available: 28_000_000 }),
  '/proc/device-tree/compatible': 'nvidia,p3737-0000+p3701-0000\0nvidia,tegra234\0',
  '/proc/device-tree/model': 'NVIDIA Jetson AGX Orin Developer Kit\0',
  '/usr/lib/aarch64-linux-gnu/libnvinfer.so.8': '',
});
const LIMIT_MS = 180_000;

let standIn: StandIn;
let folder = '';

beforeEach(async () => {
  standIn = await makeStandIn();
  folder = mkdtempSync(join(tmpdir(), 'edgefit-orin-'));
  process.env['EDGEFIT_TRTEXEC'] = standIn.path;
  process.env['EDGEFIT_ENGINES'] = join(folder, 'engines');
});

afterEach(async () => {
  delete process.env['EDGEFIT_TRTEXEC'];
  delete process.env['EDGEFIT_ENGINES'];
  await standIn.remove();
  rmSync(folder, { recursive: true, force: true });
});
afterAll(removeSysroots);

/** The demo with a handful of samples. */
function demo(): string {
  const text: unknown = JSON.parse(readFileSync(shippedPath('demo', 'manifest.json'), 'utf8'));
  const path = shippedPath('demo', 'samples.npz');
  const samples = {
    calibration: { path, from: 0, to: 24 },
    evaluation: { path, from: 24, to: 28 },
  };
  const model = shippedPath('demo', 'shapes.onnx');
  const manifest = join(folder, 'demo.json');
  writeFileSync(manifest, JSON.stringify({ ...Object(text), model, samples }));
  return manifest;
}

async function bench(changes: Partial<BenchRequest['plan']> = {}): Promise<BenchReport> {
  const run = await benchModel(
    {
      modelPath: demo(),
      plan: { asIs: false, threads: [1], runtimes: ['tensorrt'], ...changes },
      samples: {},
      image: {},
      objective: { optimize: 'latency', maxAccuracyDrop: null, minSqnrDb: null, maxP90Ms: null },
      minTimeSeconds: 0.02,
      coolDownSeconds: null,
      machineRoot: ORIN,
    },
    { signal: new AbortController().signal, progress: () => undefined },
  );
  await run.cleanup();
  return benchSchema.parse(run.report);
}

const rowOf = (report: BenchReport, id: string) => report.candidates.find((one) => one.id === id);

test(
  'an Orin: the CPU, the GPU and the DLA side by side; kept engines the second time',
  async () => {
    const report = await bench({
      runtimes: undefined,
      precisions: ['fp32', 'fp16', 'int8-static'],
    });
    expect(report.device.board.id).toBe('jetson-agx-orin');
    expect(report.candidates.map(({ id }) => id)).toEqual([
      'tensorrt/fp32/t1',
      'tensorrt/fp16/t1',
      'tensorrt/int8-static/t1',
      'tensorrt/fp16-dla/t1',
      'tensorrt/int8-static-dla/t1',
      'onnxruntime/fp32/t1',
      'onnxruntime/fp16/t1',
      'onnxruntime/int8-static/t1',
    ]);
    const float = rowOf(report, 'tensorrt/fp32/t1');
    // 4 ms, and one in ten 20 % slower: what the stand-in exports.
    expect(float?.latencyMs).toMatchObject({ p50: 4, min: 4 });
    expect(float?.latencyMs?.mean).toBeCloseTo(4.08, 2);
    expect(float).toMatchObject({ loadMs: 250, ownOverheadMs: null, integerCoverage: 0 });
    expect(float?.fidelity).toEqual({ sqnrDb: null, cosine: 1, top1Agreement: 1, samples: 4 });
    // Half precision keeps 11 bits: 20 log10(2 ** 11) is 66 dB, and rounding is better than the worst.
    expect(rowOf(report, 'tensorrt/fp16/t1')?.fidelity?.sqnrDb).toBeGreaterThan(60);
    const int8 = rowOf(report, 'tensorrt/int8-static/t1');
    expect(int8?.fidelity?.sqnrDb).toBeGreaterThan(20);
    expect(int8).toMatchObject({
      integerCoverage: expect.closeTo(0.9, 6),
      engine: {
        tensorrt: '8.5.2',
        gpu: 'Orin',
        buildSeconds: 12.5,
        cached: false,
        // 1.5 ms, of which the copies are 0.2.
        gpuMs: expect.closeTo(1.3, 6),
        coverageFrom: 'engine',
        slowestLayers: [
          { name: 'conv1 + relu1', ms: 0.5 },
          { name: 'fc', ms: 0.125 },
        ],
      },
    });
    expect(int8?.bytes).toBe(int8?.engine?.bytes);
    expect(rowOf(report, 'tensorrt/fp16-dla/t1')?.engine).toMatchObject({
      dlaLayers: 1,
      gpuLayers: 1,
    });
    const builds = (await standIn.calls()).filter((line) => line.startsWith('--onnx='));
    expect(builds).toHaveLength(5);
    expect(
      builds.filter((line) => line.includes('--useDLACore=0 --allowGPUFallback')),
    ).toHaveLength(2);
    expect(builds.filter((line) => line.includes('--calib='))).toHaveLength(1);

    const again = await bench({ precisions: ['fp16'] });
    expect(again.candidates.map(({ engine }) => engine?.cached)).toEqual([true, true, true]);
    expect(again.chosen).toBe('tensorrt/fp16/t1');
  },
  LIMIT_MS,
);

test(
  'a version without layer information: coverage is what the model asks for',
  async () => {
    await standIn.become({ version: '8.0.1' });
    const report = await bench({ precisions: ['int8'] });
    const int8 = rowOf(report, 'tensorrt/int8-static/t1');
    expect(int8?.engine).toMatchObject({ tensorrt: '8.0.1', coverageFrom: 'model' });
    expect(int8?.integerCoverage).toBeGreaterThan(0.95);
  },
  LIMIT_MS,
);

test(
  'an engine that cannot be built is a row with the reason; the others go on',
  async () => {
    await standIn.become({ fail: 'int8' });
    const report = await bench({ precisions: ['fp16', 'int8'] });
    expect(rowOf(report, 'tensorrt/int8-static/t1')).toMatchObject({
      verdict: 'failed',
      reason: expect.stringContaining('this GPU has no INT8 arithmetic'),
    });
    expect(report.chosen).toBe('tensorrt/fp16/t1');
  },
  LIMIT_MS,
);

test(
  'a kept engine that no longer loads is built again',
  async () => {
    await bench({ asIs: true });
    const engines = join(folder, 'engines');
    const { readdirSync } = await import('node:fs');
    const [name = ''] = readdirSync(engines).filter((one) => one.endsWith('.engine'));
    const path = join(engines, name);
    writeFileSync(path, readFileSync(path, 'latin1').replace('8.5.2', '8.5.1'), 'latin1');
    const report = await bench({ asIs: true });
    expect(report.candidates[0]).toMatchObject({ verdict: 'chosen', engine: { cached: false } });
  },
  LIMIT_MS,
);
