import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { agxOrin, orinNano } from '../../support/orin.ts';
import { makeSysroot, removeSysroots } from '../../support/sysroot.ts';
import { openBench, rowOf, type Bench } from './support.ts';

const AGX_ORIN = makeSysroot(agxOrin());
const ORIN_NANO = makeSysroot(orinNano());
const LIMIT_MS = 90_000;

let bench: Bench;

beforeEach(async () => {
  bench = await openBench(ORIN_NANO);
});
afterEach(() => bench.remove());
afterAll(removeSysroots);

test(
  'an Orin: the CPU, the GPU and the DLA side by side; kept engines the second time',
  async () => {
    await bench.remove();
    bench = await openBench(AGX_ORIN);
    const report = await bench.run({
      runtimes: undefined,
      precisions: ['fp32', 'fp16', 'int8-static'],
    });
    expect(report.device.board.id).toBe('jetson-agx-orin');
    expect(report.candidates.map(({ id }) => id)).toEqual([
      'tensorrt/fp32/t1',
      'onnxruntime/fp32/t1',
      'tensorrt/fp16/t1',
      'tensorrt/int8-static/t1',
      'tensorrt/fp16-dla/t1',
      'tensorrt/int8-static-dla/t1',
      'onnxruntime/fp16/t1',
      'onnxruntime/int8-static/t1',
    ]);
    const float = rowOf(report, 'tensorrt/fp32/t1');
    // 4 ms, and one in ten 20 % slower: what the stand-in exports.
    expect(float?.latencyMs).toMatchObject({ p50: 4, min: 4 });
    expect(float?.latencyMs?.mean).toBeCloseTo(4.08, 2);
    expect(float).toMatchObject({ loadMs: 250, ownOverheadMs: null, integerCoverage: 0 });
    expect(float?.fidelity).toEqual({ sqnrDb: null, cosine: 1, top1Agreement: 1, samples: 2 });
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
    const builds = (await bench.standIn.calls()).filter((line) => line.startsWith('--onnx='));
    expect(builds).toHaveLength(5);
    expect(
      builds.filter((line) => line.includes('--useDLACore=0 --allowGPUFallback')),
    ).toHaveLength(2);
    expect(builds.filter((line) => line.includes('--calib='))).toHaveLength(1);

    const again = await bench.run({ precisions: ['fp16'] });
    expect(again.candidates.map(({ engine }) => engine?.cached)).toEqual([true, true, true]);
    expect(again.chosen).toBe('tensorrt/fp16/t1');
  },
  LIMIT_MS,
);

test(
  'a version without layer information: coverage is what the model asks for',
  async () => {
    await bench.standIn.become({ version: '8.0.1' });
    const report = await bench.run({ precisions: ['int8'] });
    const int8 = rowOf(report, 'tensorrt/int8-static/t1');
    expect(int8?.engine).toMatchObject({ tensorrt: '8.0.1', coverageFrom: 'model' });
    expect(int8?.integerCoverage).toBeGreaterThan(0.95);
  },
  LIMIT_MS,
);

test(
  'an engine that cannot be built is a row with the reason; the others go on',
  async () => {
    await bench.standIn.become({ fail: 'int8' });
    const report = await bench.run({ precisions: ['fp16', 'int8'] });
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
    await bench.run({ asIs: true });
    const [name = ''] = readdirSync(bench.engines).filter((one) => one.endsWith('.engine'));
    const path = join(bench.engines, name);
    writeFileSync(path, readFileSync(path, 'latin1').replace('8.5.2', '8.5.1'), 'latin1');
    const report = await bench.run({ asIs: true });
    expect(report.candidates[0]).toMatchObject({ verdict: 'chosen', engine: { cached: false } });
  },
  LIMIT_MS,
);

describe('INT8 must be a tenth faster than FP16 on an Orin, as its profile has it', () => {
  test.each([
    [1.05, 'tensorrt/fp16/t1'],
    [1.12, 'tensorrt/int8-static/t1'],
  ])(
    '%d times as fast: %s',
    async (times, chosen) => {
      // FP16 takes 2.5 ms.
      await bench.standIn.become({ int8Ms: 2.5 / times });
      const report = await bench.run({ precisions: ['fp16', 'int8'] });
      expect(report.chosen).toBe(chosen);
      const int8 = rowOf(report, 'tensorrt/int8-static/t1');
      const reason =
        chosen === int8?.id
          ? 'fastest: 2.23 ms'
          : 'only 5% faster than fp16 (2.38 against 2.50 ms), and under 10% the profile keeps to fp16';
      expect(int8?.reason).toContain(reason);
    },
    LIMIT_MS,
  );
});
